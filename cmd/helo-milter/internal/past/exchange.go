package past

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// exchangeProgram is the program of entries that parseExchange has read. No syslog daemon writes such a name.
const exchangeProgram = "#exchange"

// maxGreetings is how many different names of a session are kept, besides the last one.
const maxGreetings = 20

// parseExchange reads a line of the protocol log of Exchange's connectors, whose "#Fields:" are always
//
//	date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context
//
// with connector-id SERVER\CONNECTOR and the event one of + - > < *. Its time is UTC. Other logs of
// Exchange, such as that of message tracking, begin with the same time and have other fields.
func (l *logReader) parseExchange(line string) (entry, bool) {
	t, err := time.Parse(time.RFC3339, line[:exchangeTime])
	cells := make([]string, 0, exchangeCells)
	for rest, more := line[exchangeTime+1:], true; more && len(cells) < exchangeCells; {
		var cell string
		cell, rest, more = cutCell(rest)
		cells = append(cells, cell)
	}
	if err != nil || len(cells) < exchangeCells || len(cells[5]) != 1 || !strings.Contains("+-><*", cells[5]) {
		return entry{}, false
	}
	server, _, ok := strings.Cut(cells[0], `\`)
	if !ok {
		server = ""
	}
	return entry{time: t, host: server, program: exchangeProgram, pid: cells[1], cells: cells}, true
}

const (
	exchangeTime  = len("2026-11-22T08:00:00.123Z")
	exchangeCells = 8 // behind the time
)

// isExchangeLine reports whether a line begins as in any log of Exchange.
func isExchangeLine(line string) bool {
	return len(line) > exchangeTime && line[exchangeTime-1:exchangeTime+1] == "Z," && isDigit(line[0])
}

// cutCell cuts a line of comma-separated values behind its first one (RFC 4180); more is false if that is
// the last.
func cutCell(line string) (cell, rest string, more bool) {
	if !strings.HasPrefix(line, `"`) {
		return strings.Cut(line, ",")
	}
	at := 1
	for at < len(line) && (line[at] != '"' || strings.HasPrefix(line[at:], `""`)) {
		if line[at] == '"' {
			at++
		}
		at++
	}
	cell, rest = line[1:min(at, len(line))], line[min(at+1, len(line)):]
	rest, more = strings.CutPrefix(rest, ",")
	return strings.ReplaceAll(cell, `""`, `"`), rest, more
}

// exchangeHeader reads a line with "#" at the beginning of a file, or in the middle of joined ones. It
// reports a log that is not of receive connectors once, and its lines are not read.
func (l *logReader) exchangeHeader(line string) {
	kind, ok := strings.CutPrefix(line, "#Log-type: ")
	if !ok {
		return
	}
	switch l.exchanges, l.foreign = true, true; strings.TrimSpace(kind) {
	case "SMTP Receive Protocol Log":
		l.foreign = false
	case "SMTP Send Protocol Log":
		l.broken(exchangeSends, "")
	case "Message Tracking Log":
		l.broken(exchangeTracking, "")
	default:
		l.broken(exchangeOther, kind)
	}
}

// Reasons of a *Broken about a log of Exchange that has no clients, or not what they said.
const (
	exchangeSends    = "the protocol log of Exchange's send connectors has no clients; " + exchangeGive
	exchangeTracking = "Exchange's message tracking log has no HELO; " + exchangeGive
	exchangeOther    = "a log of Exchange without SMTP sessions; " + exchangeGive

	exchangeGive = `give that of its receive connectors, in TransportRoles\Logs\FrontEnd\ProtocolLog\SmtpReceive ` +
		`(Edge: Logs\Edge; Get-ReceiveConnector | Set-ReceiveConnector -ProtocolLoggingLevel Verbose)`
)

// exchange reads an event of a session: what the client sent ("<") and was answered (">"). Every MAIL is an
// attempt with the recipients that follow, whatever was answered. A client that got no further than its
// connection or HELO is one only if that was refused.
func (l *logReader) exchange(e *entry) {
	id, data, context := e.pid, e.cells[6], e.cells[7]
	client, err := netip.ParseAddrPort(e.cells[4])
	if err != nil {
		l.broken(noClient, e.cells[4])
		return
	}
	s := l.session(e, id)
	s.addr = client.Addr().Unmap().WithZone("")
	if local, err := netip.ParseAddrPort(e.cells[3]); err == nil {
		s.local = local.Addr().Unmap().WithZone("")
	}
	switch event := e.cells[5]; event {
	case "+":
		s.whole, s.pending = true, true
	case "-":
		l.done(e, id)
		l.sessions.Remove(e.key(id))
	case "*":
		s.user = s.user || context == "authenticated"
	case "<":
		l.exchangeCommand(e, s, data)
	case ">":
		l.exchangeReply(e, s, data)
	}
}

// exchangeCommand reads a command of the client. HELO counts each time: Exchange takes another one at any
// time, and after STARTTLS there has to be one.
func (l *logReader) exchangeCommand(e *entry, s *session, text string) {
	verb, argument, _ := strings.Cut(text, " ")
	verb, s.pending = strings.ToUpper(verb), false
	switch verb {
	case "EHLO", "HELO":
		if s.helo != "" && len(s.earlier) < maxGreetings && !slices.Contains(s.earlier, s.helo) {
			s.earlier = append(s.earlier, s.helo)
		}
		s.says(strings.TrimSpace(argument))
		s.pending = true
	case "RSET":
		l.done(e, e.pid)
	case "MAIL":
		s.said = s.said || s.whole // if its beginning was logged, it said nothing
		h := l.exchangeHop(e, s)
		h.From = exchangePath(argument)
		l.open(e, e.pid, h)
	case "RCPT":
		if m := l.message(e, e.pid); m != nil {
			m.addTo(exchangePath(argument))
		}
	}
}

// exchangePath reads "FROM:<A> SIZE=1" or "TO:<B>".
func exchangePath(text string) string {
	_, path, _ := strings.Cut(text, ":")
	path, _ = cutAddress(strings.TrimLeft(path, " "))
	return keep(bare(path))
}

// exchangeReply reads a line that the client was answered. The name of the host is in its first one, "220
// NAME Microsoft ESMTP MAIL Service ready", unless that was changed, and in "250-NAME Hello [ADDRESS]" of
// HELO; newer versions write all lines of that as one, with "250  ".
func (l *logReader) exchangeReply(e *entry, s *session, text string) {
	code, more := cut(text), false
	if len(code) > 3 {
		code, more = text[:3], text[3] == '-'
	}
	words := strings.Fields(cut(text)[min(len(code)+1, len(cut(text))):])
	switch {
	case code == "EHL", code == "HEL", code == "MAI": // commands: a send connector's log without its header
		l.foreign = true
		l.broken(exchangeSends, "")
		l.sessions.Remove(e.key(e.pid))
	case code == "235":
		s.user = true
	case len(words) > 1 && (code == "250" && words[1] == "Hello" || code == "220" && words[1] == "Microsoft"):
		s.by = canonical(words[0])
	case s.pending && len(code) == 3 && (code[0] == '4' || code[0] == '5'):
		h := l.exchangeHop(e, s)
		h.QueueID = keep(e.pid)
		l.refuse(s, h)
	}
	s.pending = s.pending && more
}

func (l *logReader) exchangeHop(e *entry, s *session) Hop {
	h := l.hop(e, s)
	h.By, h.Local = cmp.Or(s.by, h.By), s.local
	h.Earlier = slices.DeleteFunc(slices.Clone(s.earlier), func(helo string) bool { return helo == s.helo })
	return h
}
