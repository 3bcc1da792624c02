package past

import (
	"strings"
	"time"

	"helo-milter/checks"
)

// lookupHolds is how long a failed host lookup of Exim is taken to apply to an address: it is logged once a
// connection, without naming the connection.
const lookupHolds = 10 * time.Minute

// exim reads a line of Exim: "ID <= SENDER H=...", "H=... F=<SENDER> rejected RCPT <A>: TEXT", and more.
func (l *logReader) exim(e *entry) {
	id, text := "", withoutPID(e.text)
	if first, rest, ok := strings.Cut(text, " "); ok && isMessageID(first) {
		id, text = first, rest
	}
	if address, ok := strings.CutPrefix(text, "no host name found for IP address "); ok {
		addr := ip(address)
		s := l.session(e, addr.String())
		s.hint, s.when = client{addr: addr, reverse: checks.ReverseMissing}, e.time
	} else if len(text) > 3 && id != "" && text[2] == ' ' {
		l.eximQueue(e, id, text)
	} else if id != "" && strings.HasPrefix(text, "Completed") {
		l.done(e, id)
	} else if host, ok := strings.CutPrefix(text, "H="); ok {
		l.eximRejected(e, host, "")
	} else if from, ok := strings.CutPrefix(text, "F="); ok { // by local_scan()
		from, host := cutAddress(from)
		if host, ok := strings.CutPrefix(host, " H="); ok {
			l.eximRejected(e, host, bare(from))
		}
	} else if host, ok := strings.CutPrefix(text, "rejected EHLO from "); ok {
		l.eximInvalid(e, host)
	} else if host, ok := strings.CutPrefix(text, "rejected HELO from "); ok {
		l.eximInvalid(e, host)
	}
}

// isEximText reports whether a line without its date is one that exim reads. Another program may write the
// same date.
func isEximText(text string) bool {
	text = withoutPID(text)
	return isMessageID(before(text, ' ')) || strings.HasPrefix(text, "H=") || strings.HasPrefix(text, "F=") ||
		strings.HasPrefix(text, "rejected ") || strings.HasPrefix(text, "no host name found ")
}

// withoutPID cuts off "[123] " (log selector pid).
func withoutPID(text string) string {
	if strings.HasPrefix(text, "[") {
		if _, behind, ok := strings.Cut(text, "] "); ok {
			return behind
		}
	}
	return text
}

// isMessageID reports whether a text is a message id of Exim: 6-6-2 characters, or 6-11-4 since Exim 4.97.
func isMessageID(text string) bool {
	return (len(text) == 16 && text[13] == '-' || len(text) == 23 && text[18] == '-') &&
		text[6] == '-' && isID(text)
}

// eximQueue reads a line about a message: its arrival, or a delivery to a recipient.
func (l *logReader) eximQueue(e *entry, id, text string) {
	switch mark, rest := text[:2], text[3:]; mark {
	case "<=", "(=":
		l.eximArrival(e, id, rest)
	case "=>", "->", ">>", "**", "==":
		if m := l.message(e, id); m != nil {
			m.addTo(eximRecipient(rest))
		}
	}
}

// eximRecipient reads "NAME <A@B> R=ROUTER", where A@B is the recipient of the envelope, or "A@B R=ROUTER".
func eximRecipient(text string) string {
	to, rest := cutAddress(text)
	if original, ok := strings.CutPrefix(rest, " <"); ok {
		original, _, _ = strings.Cut(original, ">")
		return original
	}
	return to
}

// cutAddress cuts off an address, which may have spaces in a quoted string.
func cutAddress(text string) (address, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// eximArrival reads "SENDER H=NAME (HELO) [ADDRESS]:PORT I=[ADDRESS]:25 P=esmtpsa X=TLS A=plain:user S=1
// id=B". Mail of local programs has U= and no H=. The protocol is one of RFC 3848, and shows AUTH; the text
// after it, such as a certificate's name or a subject, can be chosen by the client.
func (l *logReader) eximArrival(e *entry, id, text string) {
	from, rest := cutAddress(text)
	host, ok := strings.CutPrefix(rest, " H=")
	if !ok {
		return
	}
	h, ok := l.eximHost(host)
	if !ok {
		return
	}
	_, protocol, _ := strings.Cut(h.rest, " P=")
	protocol, _, _ = strings.Cut(protocol, " ")
	switch extended := strings.Contains(protocol, "esmtp"); {
	case h.said:
	case extended && h.name != "":
		h.helo, h.said = h.name, true // Exim leaves out a HELO that equals the name
	case !extended && h.name == "":
		h.said = protocol == "smtp" || protocol == "smtps" // no HELO was said
	}
	_, hop := l.eximHop(e, h)
	hop.From = keep(bare(from))
	hop.Login = strings.HasSuffix(protocol, "esmtpa") || strings.HasSuffix(protocol, "esmtpsa") ||
		strings.HasPrefix(protocol, "asmtp")
	l.open(e, id, hop)
}

// eximRejected reads "NAME (HELO) [ADDRESS] F=<SENDER> rejected RCPT <A>: TEXT", and lines with another
// command or check after "rejected" or "temporarily rejected". That of local_scan() has the sender before it,
// and the protocol.
func (l *logReader) eximRejected(e *entry, text, sender string) {
	if !strings.Contains(text, "rejected ") {
		return
	}
	h, ok := l.eximHost(text)
	if !ok {
		return
	}
	before, what, ok := strings.Cut(h.rest, "rejected ")
	if !ok || strings.Contains(before, " Warning: ") {
		return
	}
	s, hop := l.eximHop(e, h)
	hop.From = keep(sender)
	hop.Login = strings.Contains(before, " P=esmtpa ") || strings.Contains(before, " P=esmtpsa ")
	if _, from, ok := strings.Cut(before, " F=<"); ok {
		at := max(strings.LastIndexByte(from, '>'), 0)
		hop.From = keep(from[:at])
		hop.Login = strings.Contains(from[at:], " A=")
	}
	if to, ok := strings.CutPrefix(what, "RCPT "); ok {
		to, _ = cutAddress(to)
		hop.addTo(bare(strings.TrimSuffix(to, ":")))
	}
	l.refuse(s, hop)
}

// eximInvalid reads "NAME [ADDRESS]: syntactically invalid argument(s): HELO".
func (l *logReader) eximInvalid(e *entry, text string) {
	h, ok := l.eximHost(text)
	if !ok {
		return
	}
	_, helo, ok := strings.Cut(h.rest, "syntactically invalid argument(s): ")
	if ok && helo != "(no argument given)" {
		h.helo, h.said = helo, true
	}
	s, hop := l.eximHop(e, h)
	l.refuse(s, hop)
}

// eximHost is a client as written by host_build_sender_fullhost() of host.c.
type eximHost struct {
	client
	helo string
	said bool
	rest string // of the line
}

// eximHost reads "NAME (HELO) [ADDRESS]:PORT". The name is confirmed. The HELO is left out if it is that name
// or, if there is a name, the client's own address in brackets. Exim refuses a HELO with spaces or
// parentheses unless the client is one of helo_accept_junk_hosts.
func (l *logReader) eximHost(text string) (h eximHost, ok bool) {
	rest := text
	if !strings.HasPrefix(rest, "(") && !strings.HasPrefix(rest, "[") {
		h.name, rest, _ = strings.Cut(rest, " ")
	}
	if helo, ok := strings.CutPrefix(rest, "("); ok {
		h.helo, rest, h.said = strings.Cut(helo, ") [")
		rest = "[" + rest
	}
	address, rest, closed := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	h.addr, h.rest = ip(address), rest
	if !closed || !h.addr.IsValid() {
		l.broken(noClient, text)
		return h, false
	}
	if h.name != "" {
		h.reverse, h.name = checks.ReverseConfirmed, canonical(h.name)
	}
	return h, true
}

// eximHop returns the session of a client's address, and a hop of the client.
func (l *logReader) eximHop(e *entry, h eximHost) (*session, Hop) {
	s := l.session(e, h.addr.String())
	if e.time.Sub(s.when).Abs() > lookupHolds {
		s.hint = client{}
	}
	l.meet(s, h.client)
	s.helo, s.said = keep(h.helo), h.said
	return s, l.hop(e, s)
}
