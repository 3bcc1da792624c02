package checks

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// look is what a name looks like. Words count in the labels left of the registrable domain, and the
// client's address also in that domain.
type look struct {
	address bool // it carries the client's address, all of it
	dialup  bool // it has a word for lines whose address changes
	fixed   bool // it has a word for lines and servers whose address stays
	mail    bool // it has a word for mail servers
}

// lookOf looks at a name in canonical form. The words of the registrable domain say who the owner is and
// not what the host is, so they do not count; a name without one has no words to look at. But there are
// providers who register a domain for each of their networks (9.ip-203-0-113.eu), so the address is searched
// in all that a registry gave out, also where hosts are public suffixes of their provider's
// (ec2-203-0-113-9.compute-1.amazonaws.com). A domain that has digits of its own (163.com) carries no address
// of a client by that: all four octets have to be there, in an order that providers write them in.
//
// The three parts of it read the same text in different runs: of decimal digits, of hexadecimal digits
// and of letters. What ends a run is whatever is not in it, so 1.2.3.4 is not in 11-2-3-45, "dsl" is in
// dsl123, and "dynamic" is not in generaldynamics.
func lookOf(name string, client netip.Addr) look {
	l := look{address: carries(leftOf(name, registry(name)), client)}
	for word := range strings.FieldsFuncSeq(leftOf(name, orgDomain(name)), notLetter) {
		w := vocabulary[word]
		l.dialup = l.dialup || w.dialup
		l.fixed = l.fixed || w.fixed
		l.mail = l.mail || w.mail
	}
	return l
}

// generic reports whether the name looks like that of a dynamic address.
func (l look) generic() bool { return (l.address || l.dialup) && !l.fixed && !l.mail }

func leftOf(name, domain string) string {
	if domain == "" {
		return ""
	}
	return strings.TrimSuffix(name, domain)
}

// registry is the public suffix under which a registry gives out names, whatever their owners let others
// have under them: com for a name under github.com.
func registry(name string) string {
	suffix, icann := publicsuffix.PublicSuffix(name)
	for !icann && strings.Contains(suffix, ".") {
		suffix, icann = publicsuffix.PublicSuffix(suffix[strings.IndexByte(suffix, '.')+1:])
	}
	return suffix
}

func notLetter(r rune) bool  { return r < 'a' || r > 'z' }
func notDecimal(r rune) bool { return r < '0' || r > '9' }
func notHex(r rune) bool     { return notDecimal(r) && (r < 'a' || r > 'f') }

// carries reports whether labels spell all of an address.
func carries(left string, client netip.Addr) bool {
	client = client.Unmap()
	switch {
	case client.Is4():
		return carriesDecimal(left, client.As4()) || carriesHex(left, client.As4())
	case client.Is6():
		return carries6(left, client.As16())
	default:
		return false
	}
}

// carriesDecimal looks for four numbers in a row, 203-0-113-9, and for one of all four octets. Words
// may stand between the numbers, as in host9-113-dynamic.0-203-r, other numbers may not.
func carriesDecimal(left string, octets [4]byte) bool {
	last := noNumbers
	for run := range strings.FieldsFuncSeq(left, notDecimal) {
		n, err := strconv.ParseUint(run, 10, 64)
		if err != nil {
			n = math.MaxUint64
		}
		last = last.then(n, len(run) <= 3)
		if last.are(octets) || len(run) >= 8 && (spells(run, octets) || spells(run, reversed(octets))) {
			return true
		}
	}
	return false
}

// carriesHex looks for cb-00-71-09 and for cb007109. The run may have a word at its side, p5b0a7109,
// unless the word's last letter is a digit, too: then the run is longer, and where the address begins
// would be a guess.
func carriesHex(left string, octets [4]byte) bool {
	last := noNumbers
	for run := range strings.FieldsFuncSeq(left, notHex) {
		n, err := strconv.ParseUint(run, 16, 64)
		if err != nil {
			n = math.MaxUint64
		}
		last = last.then(n, len(run) == 2)
		whole := uint64(binary.BigEndian.Uint32(octets[:]))
		backwards := uint64(binary.LittleEndian.Uint32(octets[:]))
		if last.are(octets) || len(run) == 8 && (n == whole || n == backwards) {
			return true
		}
	}
	return false
}

// spells reports whether a number is an address written without separators: 20301139, 203000113009 or
// 3405803785. One of less than eight digits could be anything, so the caller does not ask.
func spells(run string, o [4]byte) bool {
	return run == fmt.Sprintf("%d%d%d%d", o[0], o[1], o[2], o[3]) ||
		run == fmt.Sprintf("%03d%03d%03d%03d", o[0], o[1], o[2], o[3]) ||
		run == fmt.Sprint(binary.BigEndian.Uint32(o[:]))
}

func reversed(o [4]byte) [4]byte { return [4]byte{o[3], o[2], o[1], o[0]} }

// numbers are the last four of a name.
type numbers [4]uint64

var noNumbers = numbers{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64}

// then is the numbers and the next one; one that cannot be an octet breaks the row.
func (last numbers) then(next uint64, octet bool) numbers {
	if !octet {
		return noNumbers
	}
	return numbers{last[1], last[2], last[3], next}
}

// are reports whether the numbers are an address, in one of the orders that providers write octets in. It
// is not any order: four small numbers are often in a name, and they need not mean an address.
func (last numbers) are(o [4]byte) bool {
	return slices.ContainsFunc(orders, func(order [4]int) bool {
		for i, at := range order {
			if last[i] != uint64(o[at]) {
				return false
			}
		}
		return true
	})
}

var orders = [][4]int{
	{0, 1, 2, 3}, // 203-0-113-9
	{3, 2, 1, 0}, // 9.113.0.203
	{3, 0, 1, 2}, // 9.red-203-0-113: the host, then its network
	{2, 3, 0, 1}, // 113-9.w203-0: the same by halves
	{3, 2, 0, 1}, // 9-113.203-0
}

// carries6 looks for an IPv6 address as 32 nibbles, forwards or as in ip6.arpa, with and without
// separators; as eight groups; and as RFC 5952 has it with dashes for colons: 2001-db8--9. 32 nibbles
// need nothing at their sides, nobody has them by accident.
func carries6(left string, addr [16]byte) bool {
	dashed := "-" + strings.Map(dashUnlessHex, left) + "-"
	if nibbles := strings.ReplaceAll(dashed, "-", ""); len(nibbles) >= 32 {
		forwards := fmt.Sprintf("%x", addr)
		backwards := []byte(forwards)
		slices.Reverse(backwards)
		if strings.Contains(nibbles, forwards) || strings.Contains(nibbles, string(backwards)) {
			return true
		}
	}
	var groups []byte
	for i := 0; i < len(addr); i += 2 {
		groups = strconv.AppendUint(append(groups, '-'), uint64(binary.BigEndian.Uint16(addr[i:])), 16)
	}
	short := strings.ReplaceAll(netip.AddrFrom16(addr).String(), ":", "-")
	return strings.Contains(dashed, string(groups)+"-") ||
		short[0] != '-' && strings.Contains(dashed, "-"+short+"-") // ::1 would be in host-1
}

func dashUnlessHex(r rune) rune {
	if notHex(r) {
		return '-'
	}
	return r
}

// The words are what providers in many countries call such lines and hosts, in a language that many
// of them use; names of products are not among them. A word has a letter beyond f, or an address in
// hexadecimal could have it. One dial-up word alone is enough for helo-generic, hence those that
// servers have as well are left out:
//   - client, customer, cust, user: hosted servers, too, are their provider's customers
//   - home, mobile, res, abo: a mail server at home, an app's, reservations, a newspaper's subscribers
//   - fiber, cloud, wireless, nat: sold to, and used by, companies with a mail server of their own
//   - sdsl, shdsl: business lines, their address is fixed nearly everywhere
//   - bb, cm, tv: too short to mean one thing
var (
	dialupWords = []string{
		"dynamic", "dyn", "dynip", "dynamicip", // host-203-0-113-9.dynamic-ip has the first one
		"dynamique", "dynamisch", "dinamic", "dinamica", "dinamico",
		"dhcp", "pool", "ippool", // a sender's pools have a mail word besides: mta-pool1
		"dial", "dialup", "dialin", "isdn", "modem", "ppp", "pppoe",
		"dsl", "adsl", "vdsl", "xdsl",
		"cable", "cablemodem", "catv", "kabel", "cpe", // customer premises equipment: the modem
		"broadband", "bredband", "hsd", // high-speed data: North America's cable
		"ftth", "fttb", "fttx", "gpon", "epon", // fibre for homes, in Eastern Europe and Asia
		"gprs", "umts", "lte", "wimax", "wlan", "wifi",
		"cgn", "cgnat", // many clients have this address
	}
	fixedWords = []string{
		"static", "staticip", "statique", "statisch", "statico", "statica", "estatico", "estatica", "stat",
		"fixed", "fix", "fixip", "fixe", "fest", "feste", "fijo", "fija", "fixo", "fisso",
		"dedicated", "dedicado", "dedi", "colo", "colocation", "hosting", "hosted",
		"server", "srv", "vps", "vds", // host, however, is what every line is called: host203-0-113-9
	}
	mailWords = []string{
		"mail", "mails", "email", "emails", "mailer", "mailing", "mailout", "mailin", "mailhost",
		"mailserver", "mailgate", "mailgw", "mailrelay", "webmail",
		"mx", "mxout", "mta", "vmta", "pmta", // a virtual MTA has one address of many
		"smtp", "smtps", "smtpout", "smtpin", "smtprelay", "esmtp", "relay", "smarthost",
		"out", "outbound", "outgoing", "outmail", "sender", "send", "bounce", "bounces",
		"news", "newsletter", "exchange", "postfix", "exim", "zimbra",
		"post", "posta", "correo", "correio", "poczta", "pochta",
	}
	vocabulary = newVocabulary()
)

func newVocabulary() map[string]look {
	words := make(map[string]look)
	for _, w := range dialupWords {
		words[w] = look{dialup: true}
	}
	for _, w := range fixedWords {
		words[w] = look{fixed: true}
	}
	for _, w := range mailWords {
		words[w] = look{mail: true}
	}
	return words
}
