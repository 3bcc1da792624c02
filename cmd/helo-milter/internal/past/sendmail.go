package past

import (
	"strconv"
	"strings"

	"helo-milter/checks"
)

// sendmail reads a line of Sendmail. A process serves one client, and each transaction, refused or not, has a
// line with sender and client at its end.
func (l *logReader) sendmail(e *entry) {
	id, text, ok := strings.Cut(e.text, ": ")
	if !ok || !isID(id) {
		id, text = "", e.text
	}
	switch {
	case strings.HasPrefix(text, "from="):
		l.sender(e, id, text)
	case strings.HasPrefix(text, "to="):
		l.delivered(e, id, text)
	case strings.HasPrefix(text, "Milter: to="), strings.HasPrefix(text, "ruleset=check_"):
		l.ruled(e, id, text)
	case strings.HasPrefix(text, "AUTH=server, relay="):
		if c, ok := l.relay(text); ok {
			s := l.session(e, e.pid)
			l.meet(s, c)
			s.user = true
		}
	case strings.HasPrefix(text, "connect from "):
		*l.session(e, e.pid) = session{whole: true} // LogLevel 10
	default:
		l.greeting(e, text)
	}
}

// greeting reads lines with a HELO. If a HELO was refused for its syntax, the next line says that the client
// did not use HELO.
func (l *logReader) greeting(e *entry, text string) {
	if said, ok := strings.CutPrefix(text, "<-- "); ok {
		verb, helo, _ := strings.Cut(said, " ")
		if helo != "" && (strings.EqualFold(verb, "EHLO") || strings.EqualFold(verb, "HELO")) {
			l.session(e, e.pid).says(helo)
		}
	} else if name, ok := strings.CutPrefix(text, "invalid domain name ("); ok {
		if at := strings.LastIndex(name, ") from "); at >= 0 {
			l.greeted(e, name[at+len(") from "):], name[:at])
		}
	} else if warning, ok := strings.CutSuffix(text, " didn't use HELO protocol"); ok {
		_, warning, _ = strings.Cut(warning, ": ") // after "Authentication-Warning: HOST: "
		_, client, _ := strings.Cut(warning, ": ")
		l.greeted(e, client, "")
	}
}

// greeted records a client's HELO, or "" if Sendmail accepted none. What was said instead is logged only with
// LogLevel 10 or more.
func (l *logReader) greeted(e *entry, client, helo string) {
	c, ok := l.relay("relay=" + client)
	if s := l.session(e, e.pid); ok {
		l.meet(s, c)
		if helo != "" || s.whole && !s.said {
			s.says(helo)
		}
	}
}

// sender reads "from=<A>, size=1, class=0, nrcpts=1, msgid=<B>, proto=ESMTP, daemon=MTA, relay=NAME
// [ADDRESS]". With AUTH the protocol is ESMTPA or ESMTPSA, as in RFC 3848.
func (l *logReader) sender(e *entry, id, text string) {
	c, ok := l.relay(text)
	if !ok || id == "" {
		return
	}
	m := l.transaction(e, id, c)
	from, rest, _ := strings.Cut(strings.TrimPrefix(text, "from="), ", size=")
	m.From = keep(bare(from))
	m.Login = m.Login || strings.Contains(rest, ", proto=ESMTPA,") ||
		strings.Contains(rest, ", proto=ESMTPSA,")
	_, count, _ := strings.Cut(rest, ", nrcpts=")
	count, _, _ = strings.Cut(count, ",")
	n, _ := strconv.Atoi(count)
	if m.left = min(n, maxTo-len(m.To)); m.left <= 0 {
		l.done(e, id)
	}
}

// transaction returns the message of a client; some recipients may have been refused already.
func (l *logReader) transaction(e *entry, id string, c client) *message {
	m := l.message(e, id)
	if m == nil {
		m = l.open(e, id, Hop{})
	}
	s := l.session(e, e.pid)
	l.meet(s, c)
	h := l.hop(e, s)
	h.To, h.QueueID = m.To, m.QueueID
	m.Hop = h
	return m
}

// delivered reads "to=<A>,<B>, delay=00:00:00, mailer=relay, relay=C, stat=Sent (ok)". A recipient whose
// delivery was deferred has several such lines.
func (l *logReader) delivered(e *entry, id, text string) {
	m := l.message(e, id)
	if m == nil {
		return
	}
	list, _, _ := strings.Cut(strings.TrimPrefix(text, "to="), ", ")
	for to := range strings.SplitSeq(list, ",") {
		if m.addTo(bare(to)) {
			m.left--
		}
	}
	if m.left <= 0 {
		l.done(e, id)
	}
}

// ruled reads refusals: "ruleset=check_rcpt, arg1=<A>, relay=NAME [ADDRESS], reject=550 TEXT" and "Milter:
// to=<A>, reject=550 TEXT". The line with the sender follows, except for a client refused by check_relay,
// whose line may even have no queue id.
func (l *logReader) ruled(e *entry, id, text string) {
	before, _, refused := strings.Cut(text, ", reject=")
	if !refused {
		return
	}
	if id == "" { // check_relay refused the connection
		if c, ok := l.relay(before); ok {
			s := l.session(e, e.pid)
			l.meet(s, c)
			l.refuse(s, l.hop(e, s))
		}
		return
	}
	if to, ok := strings.CutPrefix(before, "Milter: to="); ok {
		m := l.message(e, id)
		if m == nil {
			m = l.open(e, id, Hop{})
		}
		m.addTo(bare(to))
	} else if c, ok := l.relay(before); ok {
		m := l.transaction(e, id, c)
		if arg, ok := strings.CutPrefix(before, "ruleset=check_rcpt, arg1="); ok {
			arg, _, _ = strings.Cut(arg, ", relay=")
			m.addTo(bare(arg))
		}
	}
}

// relay reads the last "relay=USER@NAME [ADDRESS] (may be forged)" of a line: the sender and the message id
// before it are chosen by the client. Local programs have no address.
func (l *logReader) relay(text string) (c client, ok bool) {
	at := strings.LastIndex(text, "relay=")
	if at < 0 {
		return c, false
	}
	who, _, _ := strings.Cut(text[at+len("relay="):], ", ")
	who, forged := strings.CutSuffix(who, " (may be forged)")
	name, address, ok := strings.Cut(who, "[")
	if !ok {
		return c, false
	}
	address, closed := strings.CutSuffix(address, "]")
	c.addr = ip(address)
	if !closed || !c.addr.IsValid() {
		l.broken(noClient, who)
		return c, false
	}
	name = strings.TrimSpace(name[strings.LastIndexByte(name, '@')+1:])
	switch {
	case name == "":
	case forged:
		c.reverse, c.name = checks.ReverseForged, canonical(name)
	default:
		c.reverse, c.name = checks.ReverseConfirmed, canonical(name)
	}
	return c, true
}

// bare returns an address without its angle brackets.
func bare(address string) string {
	return strings.TrimSuffix(strings.TrimPrefix(address, "<"), ">")
}
