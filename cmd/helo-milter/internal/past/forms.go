package past

import (
	"net/netip"
	"regexp"
	"strings"

	"helo-milter/checks"
)

// form is how a mail server writes down its client in a Received field.
type form struct {
	mta    string
	host   *regexp.Regexp // what it writes of itself, and with which protocol
	client *regexp.Regexp // what it writes of the client, behind "from"
	name   checks.Reverse // what the client's name is, where it has one
}

// forms are tried in their order. No host tells a client without a PTR name from one whose lookup failed, so
// none of them has checks.ReverseMissing.
var forms = []form{
	// smtpd.c and smtpd_peer.c: the name is confirmed, or "unknown". It stands for the HELO, too, of a client
	// that said none.
	newForm("Postfix", `^by \S+ \(Postfix\b`, `<helo> \(<name> \[<ip>\]\)`, checks.ReverseConfirmed),

	// daemon.c, getauthinfo: a name is confirmed unless it "may be forged", and a failed lookup of its
	// addresses makes it that. cf/m4/proto.m4: a client that did not say HELO stands in a comment.
	newForm(
		"Sendmail", sendmailHost, `<helo> \(<user>(?:<name> )?\[<ip>\]<forged>\)`, checks.ReverseConfirmed,
	),
	newForm(
		"Sendmail", sendmailHost, `\(from <silence><user>(?:<name> )?\[<ip>\]<forged>\)`,
		checks.ReverseConfirmed,
	),

	// host.c, host_build_sender_fullhost: a name is confirmed. A HELO is left out where it is the name, and
	// where it is the literal of the address.
	newForm("Exim", `\(Exim `, `<name> \(\[<ip>\]<port>(?: helo=<helo>)?[^()]*\)`, checks.ReverseConfirmed),
	newForm(
		"Exim", `\(Exim `, `\[<ip>\](?: \((?:port=\d+)? ?(?:helo=<helo>)?[^()]*\))?`,
		checks.ReverseUnrecorded,
	),

	// There is never a name.
	newForm("Exchange", ` with Microsoft SMTP Server\b`, `<helo> \(\[?<ip>\]?\)`, checks.ReverseUnrecorded),

	// received.c: the name is tcpserver's, which compares it with the address only when it runs with -p.
	// qmail-smtpd.c, dohelo: a HELO is left out where it is the name, and where none was said.
	newForm("qmail", ``, `<name> \(HELO <helo>\) \(<user>\[?<ip>\]?\)`, checks.ReverseUnchecked),
	newForm("qmail", `^by \S+ with (?:\([^()]*\) )?\w+$`, `<name> \(<user><ip>\)`, checks.ReverseUnchecked),

	// OpenSMTPD (smtp_session.c, smtp_getnameinfo_cb) and Haraka (connection.js, rdns_response) write down
	// any name that they find. Others are not known to confirm theirs: Google, Courier, Microsoft's
	// SMTPSVC, and whoever else follows RFC 5321 §4.4.
	newForm("others", ``, `<helo> \(<user>(?:<name> )?\[<ip>\]<forged>[^()]*\)`, checks.ReverseUnchecked),
}

const sendmailHost = `^by \S+ \(\d+\.\d+[^()]*/`

// newForm takes two regular expressions. That of the client has words for its parts.
func newForm(mta, host, client string, name checks.Reverse) form {
	parts := strings.NewReplacer(
		`<helo>`, `(?P<helo>[^\s()]*)`,
		`<silence>`, `(?P<helo>)`,
		`<name>`, `(?P<name>[^\s()\[\]@]+)`,
		`<ip>`, `(?i:IPv6:)?(?P<ip>[^\s()\[\]]+)`,
		`<port>`, `(?::\d+)?`,
		`<user>`, `(?:[^\s()]*@)?`, // what an ident server said; qmail has a login there
		`<forged>`, `(?P<forged> \(may be forged\))?`,
	)
	client = `^` + parts.Replace(client) + `(?: |$)`
	return form{mta, regexp.MustCompile(host), regexp.MustCompile(client), name}
}

// findForm returns the form of a field with the parts of its client, or nil.
func findForm(r received) (*form, map[string]string) {
	var host []string
	for _, key := range []string{"by", "with", "id"} {
		if len(r[key]) > 0 {
			host = append(host, key, r.text(key))
		}
	}
	text, from := strings.Join(host, " "), r.text("from")
	for i := range forms {
		f := &forms[i]
		if !f.host.MatchString(text) {
			continue
		}
		if at := f.client.FindStringSubmatchIndex(from); at != nil {
			return f, parts(f.client, from, at)
		}
	}
	return nil, nil
}

// parts are those that are there, be they empty.
func parts(re *regexp.Regexp, text string, at []int) map[string]string {
	found := map[string]string{}
	for i, name := range re.SubexpNames() {
		if name != "" && at[2*i] >= 0 {
			found[name] = text[at[2*i]:at[2*i+1]]
		}
	}
	return found
}

// client fills in what a host wrote of its client. Where there is no HELO, it was the name. Where both are
// "unknown", there may have been none.
func (h *Hop) client(f *form, parts map[string]string) {
	if addr, err := netip.ParseAddr(parts["ip"]); err == nil { // OpenSMTPD has "local" there
		h.Client = addr.Unmap().WithZone("")
	}
	name, named := parts["name"]
	h.Helo, h.Said = parts["helo"]
	if named && !h.Said {
		h.Helo, h.Said = name, true
	}
	if h.Helo == "unknown" && name == "unknown" {
		h.Helo, h.Said = "", false
	}
	switch name = checks.Canonical(name); name {
	case "", "unknown", "<unknown>": // the latter is OpenSMTPD's
	default:
		h.Name, h.Reverse = name, f.name
		if _, forged := parts["forged"]; forged {
			h.Reverse = checks.ReverseForged
		}
	}
}
