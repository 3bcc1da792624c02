package past

import (
	"net/netip"
	"regexp"
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
		"Sendmail", sendmailHost, `<helo> \(<user>(?:<name> )?\[<ip>\]<forged>\)`, checks.ReverseConfirmed,
	),
	newForm(
		"Sendmail", sendmailHost, `\(from <silence><user>(?:<name> )?\[<ip>\]<forged>\)`,
		checks.ReverseConfirmed,
	),

	// host.c, host_build_sender_fullhost: a name is confirmed. The HELO is left out if it is the name, or the
	// literal of the address.
	newForm("Exim", `\(Exim `, `<name> \(\[<ip>\]<port>(?: helo=<helo>)?[^()]*\)`, checks.ReverseConfirmed),
	newForm(
		"Exim", `\(Exim `, `\[<ip>\](?: \((?:port=\d+)? ?(?:helo=<helo>)?[^()]*\))?`,
		checks.ReverseUnrecorded,
	),

	// Exchange writes no PTR name.
	newForm("Exchange", ` with Microsoft SMTP Server\b`, `<helo> \(\[?<ip>\]?\)`, checks.ReverseUnrecorded),

	// received.c: the name is tcpserver's, which checks it against the address only with -p.
	// qmail-smtpd.c, dohelo: the HELO is left out if it is the name, or none was said.
	newForm("qmail", ``, `<name> \(HELO <helo>\) \(<user>\[?<ip>\]?\)`, checks.ReverseUnchecked),
	newForm("qmail", `^by \S+ with (?:\([^()]*\) )?\w+$`, `<name> \(<user><ip>\)`, checks.ReverseUnchecked),

	// OpenSMTPD (smtp_session.c, smtp_getnameinfo_cb) and Haraka (connection.js, rdns_response) record any
	// PTR name. Others are not known to confirm theirs: Google, Courier, Microsoft's SMTPSVC, and every
	// server that writes the form of RFC 5321 §4.4.
	newForm("others", ``, `<helo> \(<user>(?:<name> )?\[<ip>\]<forged>[^()]*\)`, checks.ReverseUnchecked),
}

const sendmailHost = `^by \S+ \(\d+\.\d+[^()]*/`

// newForm compiles a row of forms. In client, the words in angle brackets stand for the parts of a client:
//
//	<helo>     the HELO
//	<silence>  nothing: the client said no HELO
//	<name>     the PTR name
//	<ip>       the address, with or without the tag IPv6:
//	<port>     ":25", or nothing
//	<user>     "root@" of an ident server, or nothing
//	<forged>   " (may be forged)" of Sendmail, or nothing
//
// Where neither <helo> nor <silence> takes part in a match, the HELO is taken to be the name. client must
// match from the beginning of the clause up to a space or its end.
func newForm(mta, host, client string, name checks.Reverse) form {
	parts := strings.NewReplacer(
		`<helo>`, `(?P<helo>[^\s()]*)`,
		`<silence>`, `(?P<helo>)`,
		`<name>`, `(?P<name>[^\s()\[\]@]+)`,
		`<ip>`, `(?i:IPv6:)?(?P<ip>[^\s()\[\]]+)`,
		`<port>`, `(?::\d+)?`,
		`<user>`, `(?:[^\s()]*@)?`, // of an ident server; qmail writes a login there
		`<forged>`, `(?P<forged> \(may be forged\))?`,
	)
	client = `^` + parts.Replace(client) + `(?: |$)`
	return form{mta, regexp.MustCompile(host), regexp.MustCompile(client), name}
}

// findForm returns the first form that matches a field, and the parts of its client, or nil.
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

// client fills in what a host recorded of its client. A HELO that was left out is the name. If both are
// "unknown", there may have been no HELO.
func (h *Hop) client(f *form, parts map[string]string) {
	if addr, err := netip.ParseAddr(parts["ip"]); err == nil { // OpenSMTPD may write "local"
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
	case "", "unknown", "<unknown>": // "<unknown>" is OpenSMTPD's
	default:
		h.Name, h.Reverse = name, f.name
		if _, forged := parts["forged"]; forged {
			h.Reverse = checks.ReverseForged
		}
	}
}
