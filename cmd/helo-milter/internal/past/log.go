package past

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/valyala/fastjson"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

const (
	maxLine    = 64 << 10 // what a line has beyond is cut off
	maxOpen    = 10_000   // messages, and connections, that are not over yet
	maxTo      = 50       // recipients of a hop
	maxText    = 512      // bytes of a HELO, a name or an address: RFC 5321 §4.5.3.1 has less for each
	oneAttempt = time.Minute
)

// Log reads what Postfix, Sendmail and Exim logged, each in its own file or all in one: files of syslog in
// its old and its new format (RFC 3164, RFC 5424), Postfix's maillog_file, Exim's mainlog, and what
// journalctl prints, JSON among it. Lines of other programs are passed over. A date without a year is the
// last one that is not to come, and one without a time zone is in that of now.
//
// A hop comes when its message is done with, which can be many lines after its Place. What the client said in
// HELO is in few logs:
//
//	Postfix    mail that was refused, by postscreen and by milters, too; mail that went through a filter before
//	           the queue (smtpd_proxy_filter); mail that header_checks said something of. All mail with
//	           smtpd_recipient_restrictions = check_client_access static:INFO, ... (Postfix 3.0 and newer)
//	Sendmail   with LogLevel 15, which logs passwords, too. With LogLevel 10 only a HELO whose syntax it
//	           refuses, and, when PrivacyOptions has authwarnings, that there was none
//	Exim       all mail; but where a client was refused and no HELO is shown, it is not known whether it said
//	           its own verified name, or nothing
//
// And of reverse DNS:
//
//	Postfix    "unknown" is no PTR name, a failed lookup, or a name that does not lead back. For that there is
//	           a warning, with the name
//	Sendmail   a bare address is no PTR name, or a failed lookup. "may be forged" is a name that does not lead
//	           back, or whose own lookup failed
//	Exim       shows only names that lead back, and tells of clients without a PTR name (log selector
//	           host_lookup_failed). The rest is not told apart
func Log(name string, r io.Reader, now time.Time) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		l := newLogReader(name, now)
		in := bufio.NewReaderSize(r, maxLine)
		var err error
		for err == nil {
			var line []byte
			line, err = in.ReadSlice('\n')
			l.read(strings.TrimRight(string(line), "\r\n"))
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			if !l.hand(yield) {
				return
			}
		}
		l.end()
		if l.hand(yield) && !errors.Is(err, io.EOF) {
			yield(Hop{}, fmt.Errorf("%s: %w", l.place(), err))
		}
	}
}

// A logReader remembers what is not over yet, by the host that wrote it down. When that is too much, what has
// not been spoken of for longest counts as over.
type logReader struct {
	name     string
	line     int
	now      time.Time
	json     fastjson.Parser
	sessions *lru.LRU[key, *session]
	messages *lru.LRU[key, *message]
	ready    []result
}

// key is a process, an address or a queue id, with its host.
type key struct{ host, id string }

func (e *entry) key(id string) key { return key{cut(e.host), cut(id)} }

type result struct {
	hop Hop
	err error
}

// client is who has connected, and what the host found out about the name.
type client struct {
	addr    netip.Addr
	reverse checks.Reverse
	name    string
}

// session is what is known of a connection; for Exim, of all those from an address.
type session struct {
	client
	helo    string
	said    bool
	user    bool
	whole   bool // Sendmail would have told of an invalid HELO
	refused *Hop // an attempt that may have more recipients

	hint client    // what was found out before it was said who has connected
	when time.Time // that was
}

// message is one in the queue, with the number of recipients that nothing became of yet.
type message struct {
	Hop
	left int
}

func newLogReader(name string, now time.Time) *logReader {
	l := &logReader{name: name, now: now}
	// The only error is about the size.
	l.sessions, _ = lru.NewLRU(maxOpen, func(_ key, s *session) { l.giveUp(s) })
	l.messages, _ = lru.NewLRU(maxOpen, func(_ key, m *message) { l.yield(m.Hop) })
	return l
}

func (l *logReader) place() string { return fmt.Sprintf("%s:%d", l.name, l.line) }

// read takes the next line.
func (l *logReader) read(line string) {
	l.line++
	e, ok := l.parse(line)
	if !ok {
		if isOurs(line) {
			l.broken("the line, or its date, cannot be read", line)
		}
		return
	}
	at := strings.LastIndexByte(e.program, '/')
	switch {
	case at >= 0:
		l.postfix(&e, e.program[at+1:])
	case strings.HasPrefix(e.program, "sendmail") || strings.HasPrefix(e.program, "sm-"):
		l.sendmail(&e)
	case strings.HasPrefix(e.program, "exim"):
		l.exim(&e)
	}
}

// isOurs tells whether a line that cannot be read might have had a hop.
func isOurs(line string) bool {
	return slices.ContainsFunc([]string{"{\"", "/smtpd[", " sendmail["},
		func(part string) bool { return strings.Contains(line, part) })
}

// end counts everything as over.
func (l *logReader) end() {
	for l.sessions.Len() > 0 {
		l.sessions.RemoveOldest()
	}
	for l.messages.Len() > 0 {
		l.messages.RemoveOldest()
	}
}

// hand passes on what is ready, and tells whether more is wanted.
func (l *logReader) hand(yield func(Hop, error) bool) bool {
	for _, r := range l.ready {
		if !yield(r.hop, r.err) {
			return false
		}
	}
	l.ready = l.ready[:0]
	return true
}

// yield makes a hop ready. Without a client nobody can be judged: the mail is a local program's, or the
// client had gone before the host asked for its address.
func (l *logReader) yield(h Hop) {
	if h.Client.IsValid() {
		l.ready = append(l.ready, result{hop: h})
	}
}

func (l *logReader) broken(reason, text string) {
	l.ready = append(l.ready, result{err: &Broken{l.place(), reason + ": " + clean.Line(text)}})
}

// session returns what is known of a connection, or a new one.
func (l *logReader) session(e *entry, id string) *session {
	s, ok := l.sessions.Get(e.key(id))
	if !ok {
		s = &session{}
		l.sessions.Add(key{keep(e.host), keep(id)}, s)
	}
	return s
}

// message returns what is known of a message in the queue, or nil.
func (l *logReader) message(e *entry, id string) *message {
	m, _ := l.messages.Get(e.key(id))
	return m
}

func (l *logReader) open(e *entry, id string, h Hop) *message {
	m := &message{Hop: h}
	l.messages.Remove(e.key(id)) // a queue id can come again
	m.QueueID = keep(id)
	l.messages.Add(key{keep(e.host), m.QueueID}, m)
	return m
}

// done is the end of a message.
func (l *logReader) done(e *entry, id string) { l.messages.Remove(e.key(id)) }

// hop returns one of the entry's time and host, and of what the session knows of the client.
func (l *logReader) hop(e *entry, s *session) Hop {
	return Hop{
		Place: l.place(), Time: e.time, By: canonical(e.host), Recorded: checks.Recorded{
			Client: s.addr, Reverse: s.reverse, Name: s.name, Login: s.user, Helo: s.helo, Said: s.said,
		},
	}
}

// refuse adds to an attempt, or begins one: each recipient of a message can be refused in a line of its own.
func (l *logReader) refuse(s *session, h Hop) {
	if o := s.refused; o != nil && o.Client == h.Client && o.Helo == h.Helo && o.From == h.From &&
		o.Login == h.Login && h.Time.Sub(o.Time) < oneAttempt {
		for _, to := range h.To {
			o.addTo(to)
		}
		return
	}
	l.giveUp(s)
	s.refused = &h
}

// giveUp is the end of an attempt.
func (l *logReader) giveUp(s *session) {
	if s.refused != nil {
		l.yield(*s.refused)
		s.refused = nil
	}
}

// meet tells a session its client. If that is another than before, the old one has gone unnoticed.
func (l *logReader) meet(s *session, c client) {
	if c.reverse == checks.ReverseUnrecorded && c.addr == s.hint.addr {
		c = s.hint
	}
	if s.addr.IsValid() && s.addr != c.addr {
		l.giveUp(s)
		*s = session{hint: s.hint, when: s.when}
	}
	s.client = c
}

func (s *session) says(helo string) { s.helo, s.said = keep(helo), true }

func (h *Hop) addTo(to string) bool {
	if to == "" || len(h.To) == maxTo || slices.Contains(h.To, to) {
		return false
	}
	h.To = append(h.To, keep(to))
	return true
}

// keep copies a text: as a part of its line it would keep all of that in memory.
func keep(text string) string { return strings.Clone(cut(text)) }

func cut(text string) string { return text[:min(len(text), maxText)] }

func canonical(name string) string { return checks.Canonical(keep(name)) }

// ip reads an address of a log. Postfix tells zones, and Sendmail tags IPv6.
func ip(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimPrefix(text, "IPv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// isID tells whether a text can be a queue id: that of Exim has hyphens.
func isID(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return text != ""
}
