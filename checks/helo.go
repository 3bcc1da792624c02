package checks

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"helo-milter/checks/clean"
)

// Form is what a HELO argument is by its spelling alone. Every argument has exactly one form, so one
// fault of spelling is one rule's business. Forms are bits so that a rule can say which it looks at.
type Form uint16

// The forms of a HELO argument.
const (
	FormMissing          Form = 1 << iota // nothing was said
	FormMalformed                         // neither a name nor an address
	FormBareIP                            // an address without brackets
	FormNumeric                           // an address in disguise: 2130706433, 0x7f000001, 1.2.3
	FormLiteral                           // an address literal of RFC 5321 §4.1.3
	FormLiteralMalformed                  // in brackets, but no address literal
	FormLocalhost                         // localhost or localdomain, or under one of them
	FormSingle                            // one label
	FormReserved                          // under a TLD that is reserved for other uses than the DNS
	FormPrivate                           // under a TLD that networks use inside
	FormUnknownTLD                        // under a TLD that the root zone does not have
	FormPublic                            // under a TLD of the root zone
	FormUnheard                           // something was said, but it is not known what

	// FormLookedUp is every name that the DNS is asked for.
	FormLookedUp = FormPublic | FormUnknownTLD
	// FormDotted is every name of two or more labels but localhost's.
	FormDotted = FormReserved | FormPrivate | FormUnknownTLD | FormPublic
	// FormName is every name.
	FormName = FormLocalhost | FormSingle | FormDotted
	// FormAny is every form of what is known to have been said, or not.
	FormAny = FormMissing | FormMalformed | FormBareIP | FormNumeric | FormLiteral |
		FormLiteralMalformed | FormName
	// FormClient is for rules that look at the client, whatever it said.
	FormClient = FormAny | FormUnheard
)

// reservedTLDs: RFC 6761 (test, example, invalid), RFC 7686 (onion), RFC 9476 (alt), RFC 6762 (local),
// ICANN board resolution of 2024-07-29 (internal), RFC 8375 (home.arpa).
var reservedTLDs = []string{"test", "example", "invalid", "onion", "alt", "local", "internal", "home.arpa"}

// privateTLDs: RFC 6762 Appendix G, and what ICANN has held back for name collisions.
var privateTLDs = []string{"lan", "home", "corp", "intranet", "intra", "private", "priv", "domain"}

// maxRaw is how much of a HELO argument is kept, in bytes: an SMTP command line has at most 512,
// RFC 5321 §4.5.3.1.4.
const maxRaw = 512

// Helo is the argument of a HELO or EHLO. In JSON it is its raw text.
type Helo struct {
	Raw  string     // as it was said, at most 512 bytes of valid UTF-8: for display only
	Form Form       // the zero Form is no valid Helo: use ParseHelo
	Name string     // Canonical, when Form is one of FormName
	Addr netip.Addr // unmapped, when Form is FormBareIP or FormLiteral
}

// MarshalText implements encoding.TextMarshaler.
func (h Helo) MarshalText() ([]byte, error) { return []byte(h.Raw), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It never fails.
func (h *Helo) UnmarshalText(text []byte) error {
	*h = ParseHelo(string(text))
	return nil
}

// Same reports whether two greetings say the same thing; case and a trailing dot do not count.
func (h Helo) Same(o Helo) bool {
	if h.Name == "" && !h.Addr.IsValid() {
		return h.Raw == o.Raw
	}
	return h.Form == o.Form && h.Name == o.Name && h.Addr == o.Addr
}

// ParseHelo finds out what a HELO argument is. It takes any bytes and never fails; FormMissing is not
// among its results, because something was said.
func ParseHelo(raw string) Helo {
	h := Helo{Raw: clean.Text(raw, maxRaw)}
	name := fold(h.Raw)
	switch {
	case len(name) > 1 && name[0] == '[' && name[len(name)-1] == ']':
		// fold takes the final dot of a name away, but RFC 5321 §4.1.3 has none behind a literal.
		if h.Form = FormLiteralMalformed; h.Raw[len(h.Raw)-1] == ']' {
			h.Form, h.Addr = parseLiteral(name[1 : len(name)-1])
		}
	case bareIP(name).IsValid():
		h.Form, h.Addr = FormBareIP, bareIP(name)
	case !validName(name):
		h.Form = FormMalformed
	default:
		if h.Form = nameForm(name); h.Form&FormName != 0 {
			h.Name = name
		}
	}
	return h
}

// bareIP reads an IPv4 or IPv6 address without brackets; the tag of an IPv6 literal and a zone do not
// make it anything else.
func bareIP(s string) netip.Addr {
	if s == "" || !strings.Contains(s, ":") && !isNumber(s[len(s)-1:]) {
		return netip.Addr{} // as for nearly every HELO, and an error costs more
	}
	addr, err := netip.ParseAddr(strings.TrimPrefix(s, "ipv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// parseLiteral reads what is between the brackets: RFC 5321 §4.1.3. Leading zeros are refused although
// its grammar has them, since one reader takes them for octal and the next for decimal.
func parseLiteral(s string) (Form, netip.Addr) {
	v6, tagged := strings.CutPrefix(s, "ipv6:")
	addr, err := netip.ParseAddr(v6)
	if err != nil || addr.Is6() != tagged || addr.Zone() != "" {
		return FormLiteralMalformed, netip.Addr{}
	}
	return FormLiteral, addr.Unmap()
}

// validName reports whether a name has the syntax of RFC 1123 §2.1 and RFC 5321 §4.1.2, but for
// underscores, which have a rule of their own. The name is in canonical form.
func validName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isLDH(c) && c != '_' {
				return false
			}
		}
	}
	return true
}

func isLDH(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// nameForm finds the form of a valid name.
func nameForm(name string) Form {
	tld := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case isNumber(tld):
		return FormNumeric
	case under(name, "localhost", "localdomain"):
		return FormLocalhost
	case tld == name:
		return FormSingle
	case under(name, reservedTLDs...):
		return FormReserved
	case under(name, privateTLDs...):
		return FormPrivate
	case !inRootZone(name):
		return FormUnknownTLD
	default:
		return FormPublic
	}
}

// isNumber reports whether inet_aton takes a label for a number: decimal, octal or hexadecimal.
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	set := "0123456789"
	if hex {
		set += "abcdef"
	}
	return len(label) > 0 && strings.Trim(digits, set) == ""
}

// inRootZone reports whether the TLD of a name of two or more labels is delegated, by the public suffix
// list, whose ICANN part has every TLD of the root zone at its date.
func inRootZone(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann || strings.Contains(suffix, ".")
}

// IsPublicSuffix reports whether a name in canonical form is a domain under which a registry registers names,
// such as com or co.uk. Those of companies, the private part of the list, are not meant.
func IsPublicSuffix(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix == name
}

// KnownTLDs says which list of TLDs and public suffixes this program was built with, and its date.
func KnownTLDs() string { return publicsuffix.List.String() }

// Canonical is the one form in which names are compared: lower case, A-labels (RFC 5890 §2.3.2.1), no
// trailing dot. A dot before it, as lists have it, stays. What is no name comes back in lower case.
func Canonical(name string) string {
	name = fold(name)
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		plain := strings.TrimPrefix(name, ".")
		if ascii, err := idna.Lookup.ToASCII(plain); err == nil {
			return strings.TrimSuffix(name, plain) + ascii
		}
	}
	return name
}

// fold is Canonical without U-labels: a HELO must not have any (RFC 5321 §4.1.1.1; RFC 6531 §3.7.1
// says A-labels, too). It is about ASCII only: in lower case U+0130 is "i", and U+212A is "k".
func fold(name string) string {
	return strings.TrimSuffix(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name), ".")
}

// Domain returns the domain of a mail address in canonical form, or "" when it has none.
func Domain(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return Canonical(address[at+1:])
}

// orgDomain returns the organisational domain of a name: one label more than its public suffix. It is
// "" for a name that has none, and "" is nobody's domain: it never equals another.
func orgDomain(name string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return org
}

// sameOrg reports whether two names belong together: equal, or of one organisational domain.
func sameOrg(a, b string) bool {
	if a == b {
		return true
	}
	org := orgDomain(a)
	return org != "" && org == orgDomain(b)
}
