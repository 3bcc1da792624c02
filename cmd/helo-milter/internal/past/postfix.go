package past

import (
	"net/netip"
	"strings"

	"helo-milter/checks"
)

// postfix reads a line of a Postfix daemon. If its name is lost, its text shows which it is.
func (l *logReader) postfix(e *entry) {
	switch daemon := e.program[strings.LastIndexByte(e.program, '/')+1:]; daemon {
	case "smtpd":
		l.smtpd(e)
	case "postscreen":
		l.postscreen(e)
	default:
		id, text, _ := strings.Cut(e.text, ": ")
		if m := l.message(e, id); m != nil {
			l.queue(e, m, text)
		} else if strings.HasPrefix(text, "milter-reject: ") { // of a message that arrived before the log begins
			s := &session{}
			l.action(e, s, id, text)
			l.giveUp(s)
		} else if strings.HasPrefix(daemon, "postfix") { // one of those in origin of program.go
			l.smtpd(e)
		}
	}
}

// smtpd reads a line of smtpd. A process serves one client at a time.
func (l *logReader) smtpd(e *entry) {
	s := l.session(e, e.pid)
	if warning, ok := strings.CutPrefix(e.text, "warning: "); ok {
		l.peerWarning(s, warning)
		return
	}
	switch first, rest, _ := strings.Cut(e.text, " "); first {
	case "<": // with smtpd -v or debug_peer_list: "< NAME[ADDRESS]: EHLO HELO"
		l.command(s, rest)
		return
	case "connect":
		l.giveUp(s)
		*s = session{hint: s.hint}
		if who, ok := strings.CutPrefix(e.text, "connect from "); ok {
			l.peer(who) // reports a client that cannot be parsed, of which no later line may come
		}
		return
	case "disconnect":
		l.sessions.Remove(e.key(e.pid))
		return
	}
	id, text, ok := strings.Cut(e.text, ": ")
	if !ok || !isID(id) {
		return
	}
	if who, ok := strings.CutPrefix(text, "client="); ok {
		l.accept(e, s, id, who)
	} else if strings.HasPrefix(id, "proxy-") {
		l.action(e, s, "", e.text)
	} else {
		l.action(e, s, id, text)
	}
}

// command reads "NAME[ADDRESS]: EHLO HELO".
func (l *logReader) command(s *session, text string) {
	_, text, _ = strings.Cut(text, "]: ")
	verb, helo, _ := strings.Cut(text, " ")
	if helo != "" && (strings.EqualFold(verb, "EHLO") || strings.EqualFold(verb, "HELO")) {
		s.says(strings.TrimSpace(helo))
	}
}

// postscreen reads a line of postscreen. One process serves all clients, and does not look up their names.
func (l *logReader) postscreen(e *entry) {
	if who, ok := strings.CutPrefix(e.text, "DISCONNECT "); ok {
		l.sessions.Remove(e.key(who))
	} else if text, ok := strings.CutPrefix(e.text, "NOQUEUE: reject: "); ok {
		_, who, _ := strings.Cut(text, " from ")
		who, _, _ = strings.Cut(who, ": ")
		l.action(e, l.session(e, who), "", "reject: "+text)
	}
}

// peerWarning reads the warning about a client's name that smtpd_peer.c logs before "connect from". The
// second form is that of Postfix 2.2 and older. The address may be followed by the resolver's error; unless
// that means "no such host", the name is neither confirmed nor forged.
func (l *logReader) peerWarning(s *session, text string) {
	var addr netip.Addr
	name, after, ok := strings.Cut(text, " does not resolve to address ")
	reverse := checks.ReverseForged
	if ok {
		name, ok = strings.CutPrefix(name, "hostname ")
		// IPv6 addresses have no space behind a colon.
		address, reason, failed := strings.Cut(after, ": ")
		addr = ip(address)
		if failed && !noSuchHost(reason) {
			reverse = checks.ReverseUnchecked
		}
	} else if address, host, old := strings.Cut(text, ": address not listed for hostname "); old {
		addr, name, ok = ip(address), host, true
	}
	if ok {
		s.hint = client{addr, reverse, canonical(name)}
	}
}

// noSuchHost reports whether a text of gai_strerror(3) is that of EAI_NONAME or EAI_NODATA, in glibc, musl,
// the BSDs or macOS.
func noSuchHost(reason string) bool {
	switch reason {
	case "Name or service not known", "No address associated with hostname", "Name does not resolve",
		"Name has no usable address", "hostname nor servname provided, or not known",
		"nodename nor servname provided, or not known", "no address associated with name":
		return true
	}
	return false
}

// noClient is the reason of a *Broken.
const noClient = "cannot parse the client"

// peer reads NAME[ADDRESS], or NAME[ADDRESS]:PORT with smtpd_client_port_logging. The name is confirmed, or
// "unknown"; postscreen writes none. The address is "unknown" if the client has already disconnected.
func (l *logReader) peer(text string) (c client, rest string, ok bool) {
	name, rest, _ := strings.Cut(text, "[")
	address, rest, _ := strings.Cut(rest, "]")
	c.addr = ip(address)
	if !c.addr.IsValid() && address != "unknown" {
		l.broken(noClient, text)
		return c, "", false
	}
	if name != "unknown" && name != "" {
		c.reverse, c.name = checks.ReverseConfirmed, canonical(name)
	}
	return c, rest, true
}

// accept reads the rest of "ID: client=NAME[ADDRESS], sasl_method=PLAIN, sasl_username=USER". A message that
// comes back from a content filter has orig_client= after that (XFORWARD), and was a hop already. The text
// after sasl_sender= is chosen by the client.
func (l *logReader) accept(e *entry, s *session, id, text string) {
	c, rest, ok := l.peer(text)
	if !ok || strings.Contains(rest, ", orig_client=") {
		return
	}
	l.meet(s, c)
	rest, _, _ = strings.Cut(rest, ", sasl_sender=")
	s.user = strings.Contains(rest, ", sasl_username=")
	if id != "NOQUEUE" { // else it goes to a before-queue filter
		l.open(e, id, l.hop(e, s))
	}
}

// action reads "reject: RCPT from NAME[ADDRESS]: 550 TEXT; from=<A> to=<B> proto=ESMTP helo=<C>
// sasl_username=<D>", or another action than reject: log_whatsup() of smtpd_check.c. Lines about a
// before-queue filter do not name the client.
func (l *logReader) action(e *entry, s *session, id, text string) {
	what, rest, _ := strings.Cut(text, ": ")
	stage, _, _ := strings.Cut(rest, ": ")
	stage, who, named := strings.Cut(stage, " from ")
	if what != "reject_warning" && !isID(what) || !isID(stage) {
		return
	}
	if named {
		c, _, ok := l.peer(who)
		if !ok {
			return
		}
		l.meet(s, c)
	} else if !s.addr.IsValid() && strings.HasPrefix(what, "proxy-") {
		l.broken("refused or passed by a before-queue filter, of a client that was not logged", text)
		return
	}
	c := readContext(rest, stage == "MAIL" || stage == "RCPT" || stage == "DATA" || stage == "END-OF-MESSAGE")
	if c.said && (c.helo != "" || !s.said) {
		s.says(c.helo)
	}
	s.user = s.user || c.user
	if m := l.message(e, id); m != nil {
		m.Helo, m.Said, m.Login = s.helo, s.said, m.Login || c.user
		return
	}
	h := l.hop(e, s)
	h.From = keep(c.from)
	h.addTo(c.to)
	switch what {
	case "reject", "milter-reject", "proxy-reject":
		l.refuse(s, h)
	case "proxy-accept":
		l.yield(h)
	}
}

// details are what a log line of Postfix says about its transaction.
type details struct {
	from, to, helo string
	said           bool // the HELO is known, or that there was none
	user           bool // the client is authenticated
}

// readContext reads details from the end of a line, since the text before them can be chosen by the client.
// In a HELO, Postfix replaces spaces and ">" (neuter() of smtpd.c). Postscreen separates the parts by commas.
// No HELO in the line means that the client said none only if the line is not cut off, and the stage is late
// enough to need one.
func readContext(text string, late bool) (c details) {
	at := strings.LastIndex(text, " proto=")
	if at < 0 {
		return c
	}
	tail := text[at:]
	if _, helo, ok := strings.Cut(tail, " helo=<"); ok {
		c.helo, helo, c.said = strings.Cut(helo, ">")
		c.user = strings.HasPrefix(helo, " sasl_username=<")
	} else {
		c.said = late && tail == " proto=SMTP"
	}
	text, c.to = cutLast(text[:at], " to=<")
	_, c.from = cutLast(text, " from=<")
	return c
}

// cutLast cuts " name=<value>" from the end of a text.
func cutLast(text, name string) (before, value string) {
	text = strings.TrimSuffix(text, ",")
	at := strings.LastIndex(text, name)
	if at < 0 {
		return text, ""
	}
	return text[:at], strings.TrimSuffix(text[at+len(name):], ">")
}

// queue reads a line about a message in the queue: "from=<A>, size=1" and "removed" of qmgr, "to=<B>,
// orig_to=<C>, relay=D" of a delivery agent, and actions of cleanup for header_checks or a milter, with the
// details of smtpd.
func (l *logReader) queue(e *entry, m *message, text string) {
	if from, ok := strings.CutPrefix(text, "from=<"); ok {
		from, _, _ = strings.Cut(from, ">, ")
		m.From = keep(from)
	} else if to, ok := strings.CutPrefix(text, "to=<"); ok {
		to, rest, _ := strings.Cut(to, ">, ")
		if original, ok := strings.CutPrefix(rest, "orig_to=<"); ok {
			to, _, _ = strings.Cut(original, ">, ")
		}
		m.addTo(to)
	} else if text == "removed" {
		l.done(e, m.QueueID)
	} else if strings.HasSuffix(e.program, "/cleanup") {
		c := readContext(text, false)
		if c.said {
			m.Helo, m.Said = keep(c.helo), true
		}
		what, _, _ := strings.Cut(text, ": ")
		if what == "reject" || what == "milter-reject" || what == "discard" || what == "milter-discard" {
			m.From = keep(c.from)
			m.addTo(c.to)
			l.done(e, m.QueueID)
		}
	}
}
