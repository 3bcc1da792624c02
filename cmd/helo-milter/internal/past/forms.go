package past

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"helo-milter/checks"
)

// form is how a mail server records its client in a Received field.
type form struct {
	mta    string
	host   *regexp.Regexp // matches the clauses by, with and id, where the server describes itself
	client *regexp.Regexp // matches the clause from, with the client
	name   checks.Reverse // what a name in there stands for
}

// forms are tried in order. No server distinguishes a client without a PTR name from one whose lookup failed,
// so no form yields checks.ReverseMissing.
var forms = []form{
	// smtpd.c and smtpd_peer.c: the name is confirmed, or "unknown". If the client said no HELO, the name is
	// written in its place, too.
	newForm("Postfix", `^by \S+ \(Postfix\b`, `<helo> \(<name> \[<ip>\]\)`, checks.ReverseConfirmed),

	// daemon.c, getauthinfo: a name is confirmed unless it "may be forged", as it is also said when the
	// lookup of its addresses failed. cf/m4/proto.m4: a client that said no HELO is in a comment.
	newForm(
		"Sendmail", sendmailServer, `<helo> \(<user>(?:<name> )?\[<ip>\]<forged>\)`, checks.ReverseConfirmed,
	),
	newForm(
		"Sendmail", sendmailServer, `\(from <silence><user>(?:<name> )?\[<ip>\]<forged>\)`,
		checks.ReverseConfirmed,
	),

	// host.c, host_build_sender_fullhost: a name is confirmed. The HELO is left out if it is the name, or the
	// literal of the address.
	newForm("Exim", eximServer, `<name> \(\[<ip>\]<port>(?: helo=<helo>)?<more>\)`, checks.ReverseConfirmed),
	newForm(
		"Exim", eximServer, `\[<ip>\]<port>(?: \((?:port=\d+)? ?(?:helo=<helo>)?<more>\))?`,
		checks.ReverseUnrecorded,
	),

	// Exim 2 and 3: the same, with neither parentheses around the address nor "helo=".
	newForm("Exim", eximServer, `<name>(?: \(<helo>\))? \[<ip>\]<port>`, checks.ReverseConfirmed),
	newForm("Exim", eximServer, `\(<helo>\) \[<ip>\]<port>`, checks.ReverseUnrecorded),

	// Exchange writes no PTR name. Its client may say EHLO without a name.
	newForm("Exchange", exchangeServer, `<helo> \(\[?<ip>\]?\)`, checks.ReverseUnrecorded),
	newForm("Exchange", exchangeServer, `\(\[?<ip>\]?\)`, checks.ReverseUnrecorded),

	// received.c: the name is tcpserver's, which checks it against the address only with -p. qmail-smtpd.c,
	// dohelo: the HELO is left out if it is the name, or none was said. qpsmtpd and IronPort write the same,
	// and Yahoo, with an address for the name.
	newForm(
		"qmail", ``, `<name> \(<said><helo>\) [([]<user>\[?<ip>\]?(?:_trustedrelay| with <login>)?[])]`,
		checks.ReverseUnchecked,
	),
	newForm("qmail", qmailServer, `<name> \(<user><ip>\)`, checks.ReverseUnchecked),
	newForm("qmail", qmailServer, `<helo> \(<user><ip> with <login>\)`, checks.ReverseUnrecorded), // Yahoo

	// Momentum, once ecelerity: the port is inside the brackets.
	newForm(
		"Momentum", `\(ecelerity `, `\[<ip>\] \(\[[^\s()]+\](?: helo=<helo>)?\)`, checks.ReverseUnrecorded,
	),

	newForm("Momentum", `\(ecelerity `, `\(\[<ip>\](?: helo=<helo>)?\)`, checks.ReverseUnrecorded),

	// ZMailer: the HELO is in quotes. Nothing is known of its name.
	newForm(
		"ZMailer", ``,
		`(?:<name>|\S+) \(\[<ip>\]<port> "<said><helo>"(?: [^()]*smtp-auth: "?<login>)?<more>\)`,
		checks.ReverseUnchecked,
	),

	// Others with the HELO in a comment. CommuniGate, Yahoo's inner hosts: only the address stands before it.
	// ASSP: the HELO does, too. Elsewhere it may be a name, of which nothing is known.
	newForm(
		"HELO in a comment", ``, `\[?<ip>\]?<port> \((?:account <login> |port=\d+ )?<said><helo><more>\)$`,
		checks.ReverseUnrecorded,
	),
	newForm(
		"HELO in a comment", ``, `\[?<ip>\]? \((?:account <login>|verified)<more>\)$`,
		checks.ReverseUnrecorded,
	),
	newForm(
		"HELO in a comment", ``, `<name> \[<ip>\]<port> \(<said><helo><more>\)$`, checks.ReverseUnchecked,
	),
	newForm(
		"CommuniGate", `\(CommuniGate `, `<helo> \(account <login> \[<ip>\]<more>\)`, checks.ReverseUnrecorded,
	),
	newForm(
		"HELO in a comment", ``, `\S+ \(\[<ip>\]<port> <said><helo><more>\)$`, checks.ReverseUnrecorded,
	),

	// OpenSMTPD (smtp_session.c, smtp_getnameinfo_cb), Haraka (connection.js, rdns_response), maddy
	// (received.go) and Stalwart (data.rs, write_received) record any PTR name; Stalwart also the network's
	// owner. Others are not known to confirm theirs: Google, Courier, Microsoft's SMTPSVC, and every server
	// that writes the form of RFC 5321 §4.4. PowerMTA, Axigen, IMail, Notes and chasquid write no name.
	newForm(
		"others", ``, `<helo> \( ?<user>(?:<name> ?|\[unknown\] )?\[<ip>\]<port><forged><more>`+
			`(?:\(AS\d+[^()\[\]]*\))?\)`,
		checks.ReverseUnchecked,
	),
	newForm("others", ``, `<helo> (?:\( ?<ip> ?\)|\[<ip>\]<port>)$`, checks.ReverseUnrecorded),

	// Neither name nor HELO: MessageLabs, Roundcube and SquirrelMail, Yahoo's hosts inside. MDaemon, Merak,
	// GroupWise and LSMTP may write nothing but the HELO, which may be the literal of any address.
	newForm(
		"others", addressServer, `(?:<ip>|\[<ip>\]<port>)`+
			`(?: \((?:SquirrelMail|NaSMail) .* <login>\)| \(using (?:[^()]|\([^()]*\))*\))?$`,
		checks.ReverseUnrecorded,
	),
	newForm("others", ``, `\((?:\S+ )?\[?<ip>\]?\)$`, checks.ReverseUnrecorded),
}

const (
	sendmailServer = `^by \S+ \(\d+\.\d+[^()]*/`
	exchangeServer = ` with Microsoft SMTP Server\b`
	qmailServer    = `^by \S+ with (?:\([^()]*\) |\S+ encrypted )?\w*(?:SMTP|QMTP|QMQP)\w*$`

	// addressServer are servers that write the address of a client, and no HELO.
	addressServer = `(?i)^by \S+(?: \(via HTTPS?\)| id \S+)$|^by .*\b(?:with|via) (?:HTTP|NNFMP)|` +
		`^by \S+ \((?:SMTPL|InterScan|ArGoSoft|Post\.Office|MailGate)\b|` +
		`^by \S+ with (?:Mail2000|ESMTP \(Tumbleweed)\b`

	// eximServer also knows the server by its ids, and protocols in lower case: its version can be hidden.
	eximServer = `\(Exim | with (?:utf8)?e?smtps?a? (?:.* )?id ` +
		`[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})$`
)

// newForm compiles a row of forms. In client, the words in angle brackets stand for the parts of a client:
//
//	<helo>     the HELO
//	<said>     the word before it: "HELO ", "EHLO ", "helo="
//	<silence>  nothing: the client said no HELO
//	<name>     the PTR name
//	<ip>       the address, with or without the tag IPv6:
//	<port>     ":25", or nothing
//	<user>     "root@" of an ident server, or nothing
//	<login>    the name of an authenticated user
//	<forged>   " (may be forged)" of Sendmail, or nothing
//	<more>     the rest of a comment, in which there is neither another HELO nor another address
//
// Where neither <helo> nor <silence> takes part in a match, the HELO is taken to be the name. client must
// match from the beginning of the clause up to a space or its end.
func newForm(mta, host, client string, name checks.Reverse) form {
	parts := strings.NewReplacer(
		`<helo>`, `(?P<helo>[^\s()]*)`,
		`<said>`, `(?i:HELO|EHLO)[ =]`,
		`<silence>`, `(?P<helo>)`,
		`<name>`, `(?P<name>[^\s()\[\]@]+)`,
		`<ip>`, `(?i:IPv6:)?(?P<ip>[^\s()\[\]_]+)`,
		`<port>`, `(?::\d+)?`,
		`<user>`, `(?P<user>[^\s()]*@)?`,
		`<login>`, `(?P<login>[^\s()"]+)`,
		`<forged>`, `(?P<forged> \(may be forged\))?`,
		`<more>`, `(?P<more>[^()]*)`,
	)
	client = `^` + parts.Replace(client) + `(?: |$)`
	return form{mta, regexp.MustCompile(host), regexp.MustCompile(client), name}
}

// match is a form that a field is of.
type match struct {
	*form
	parts map[string]string // of the client
	addr  netip.Addr
	rest  string // of the clause from, behind the client
}

// match returns the first form that matches, or nil. A field with a second address or HELO is of no form:
// which of them is the client's is unknown, and it may have written the other.
func (r received) match() *match {
	host, from := r.host(), r.text("from")
	var tried string
	is := true // of the empty expression
	for i := range forms {
		f := &forms[i]
		if server := f.host.String(); server != tried { // several rows have the same
			tried, is = server, f.host.MatchString(host)
		}
		if !is {
			continue
		}
		at := f.client.FindStringSubmatchIndex(from)
		if at == nil {
			continue
		}
		m := &match{form: f, parts: parts(f.client, from, at), rest: from[at[1]:]}
		if m.addr = endpoint(m.parts["ip"]); m.addr.IsValid() && !m.ambiguous() {
			return m
		}
	}
	return nil
}

// ambiguous reports whether there is another address or HELO with the client. Yahoo writes the client's
// address twice, or that of a host inside first.
func (m *match) ambiguous() bool {
	more, first := m.parts["more"]+" "+m.rest, ip(m.parts["name"])
	return hasAddress(more) || holds(more, "lo") && said.MatchString(more) ||
		first.IsValid() && first != m.addr && !checks.Private(first)
}

// host returns the clauses by, via, with and id, where the server describes itself, without the envelope sender
// that Exim and Momentum write there.
func (r received) host() string {
	var text []string
	for _, key := range []string{"by", "via", "with"} {
		if len(r[key]) > 0 {
			text = append(text, key)
		}
		for _, word := range r[key] {
			if !strings.HasPrefix(word, "(envelope-") {
				text = append(text, word)
			}
		}
	}
	if id := r.word("id"); id != "" {
		text = append(text, "id", id)
	}
	return strings.Join(text, " ")
}

// parts returns the named groups that took part in a match, even if empty.
func parts(re *regexp.Regexp, text string, at []int) map[string]string {
	found := map[string]string{}
	for i, name := range re.SubexpNames() {
		if name != "" && at[2*i] >= 0 {
			found[name] = text[at[2*i]:at[2*i+1]]
		}
	}
	return found
}

// said matches where a HELO stands in a comment.
var said = regexp.MustCompile(`(?i)\b(?:HELO|EHLO)[ =]`)

// endpoint parses an address, or an IPv4 address with its port: behind an IPv6 address it cannot be told.
func endpoint(text string) netip.Addr {
	if both, err := netip.ParseAddrPort(text); err == nil && both.Addr().Is4() {
		return both.Addr()
	}
	return ip(text)
}

// hasAddress reports whether there is an address in a text.
func hasAddress(text string) bool {
	between := func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF.:", r) }
	for word := range strings.FieldsFuncSeq(text, between) {
		if strings.Count(word, ".") == 3 || strings.Count(word, ":") > 1 {
			if endpoint(word).IsValid() || endpoint(strings.Trim(word, ".:")).IsValid() {
				return true
			}
		}
	}
	return false
}

// client fills in what a host recorded of its client. A HELO that was left out is the name. If both are
// "unknown", there may have been no HELO; and if there is no name, the word may stand for it.
func (h *Hop) client(m *match) {
	h.Client = m.addr
	name, named := m.parts["name"]
	h.Helo, h.Said = m.parts["helo"]
	if named && !h.Said {
		h.Helo, h.Said = name, true
	}
	noName := func(name string) bool { return slices.Contains(noNames, checks.Canonical(name)) }
	if h.Helo == "unknown" && name == "unknown" || m.mta == "others" && !named && h.Helo != "" && noName(h.Helo) {
		h.Helo, h.Said = "", false
	}
	if m.mta == "qmail" {
		h.unmask()
	}
	if noName(name) || strings.Contains(name, "?") || ip(name).IsValid() {
		return
	}
	h.Name, h.Reverse = checks.Canonical(name), m.name
	if _, forged := m.parts["forged"]; forged {
		h.Reverse = checks.ReverseForged
	}
}

// login reports whether the name of an authenticated user is with the client. qmail-smtpd's patches for
// authentication put it where the ident server's user would be: vpopmail's users are of a domain, and qmail-ldap
// writes "Authenticated_SSL:user".
func (m *match) login() bool {
	user := strings.TrimSuffix(m.parts["user"], "@")
	patched := strings.ContainsAny(user, "@%") || strings.HasPrefix(user, "Authenticated")
	return m.parts["login"] != "" && m.parts["login"] != "<none>" || m.mta == "qmail" && patched ||
		authenticated.MatchString(m.parts["more"])
}

// authenticated matches the name of a user in the comment with the client, unless the client may have written
// it there through its ident server.
var authenticated = regexp.MustCompile(`^(?: (?:helo|port)=\S*)* (?:auth|A)=[^\s=]`)

// noNames are written in the place of a PTR name that is not there: "<unknown>" by OpenSMTPD, "unverified" by
// SurgeMail, "Unknown_Domain" by MailMarshal, "UnknownHost" by others.
var noNames = []string{"", "unknown", "<unknown>", "unverified", "unknown_domain", "<unknown.domain>", "unknownhost", "really"}

// masked matches what is left of the literal of an address.
var masked = regexp.MustCompile(`^\?((?i:IPv6:)?[0-9A-Fa-f:.]+)\?$`)

// unmask undoes what safeput of qmail's received.c does to a HELO: it writes "?" for each byte but letters,
// digits and .@%+/=:-. An address between two of them was between brackets. Any other HELO with "?" is not
// recorded: it may have been "_", which is most frequent, or any other byte, and they are judged differently.
func (h *Hop) unmask() {
	literal := masked.ReplaceAllString(h.Helo, "[$1]")
	switch {
	case checks.ParseHelo(literal).Form == checks.FormLiteral:
		h.Helo = literal
	case strings.Contains(h.Helo, "?"):
		h.Helo, h.Said = "", false
	}
}
