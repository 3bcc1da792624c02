package past

import (
	"net/netip"
	"time"

	"helo-milter/checks"
)

// client is a connected client, and what the host found out about its name.
type client struct {
	addr    netip.Addr
	reverse checks.Reverse
	name    string
}

// session is what is known of a connection; for Exim, of all connections from an address.
type session struct {
	client
	helo    string
	said    bool
	user    bool
	whole   bool // logged from its beginning, so that Sendmail would have logged an invalid HELO
	refused *Hop // a refused attempt that may have more recipients

	hint client    // a lookup's result, logged before the client
	when time.Time // of hint

	by      string     // of Exchange: how the host greets,
	local   netip.Addr // its address,
	earlier []string   // what the client said in HELO before,
	pending bool       // and that its connection or HELO was not answered yet
}

// message is a message in the queue, with the number of recipients that are still to be delivered.
type message struct {
	Hop
	left int
}

// session returns the session of an id, or a new one.
func (l *logReader) session(e *entry, id string) *session {
	s, ok := l.sessions.Get(e.key(id))
	if !ok {
		s = &session{}
		l.sessions.Add(key{keep(e.host), keep(id)}, s)
	}
	return s
}

// message returns the message of a queue id, or nil.
func (l *logReader) message(e *entry, id string) *message {
	m, _ := l.messages.Get(e.key(id))
	return m
}

func (l *logReader) open(e *entry, id string, h Hop) *message {
	m := &message{Hop: h}
	l.messages.Remove(e.key(id)) // queue ids are reused
	m.QueueID = keep(id)
	l.messages.Add(key{keep(e.host), m.QueueID}, m)
	return m
}

// done ends a message, and so yields its hop.
func (l *logReader) done(e *entry, id string) { l.messages.Remove(e.key(id)) }

// hop returns a hop with the time and host of the entry and the client of the session.
func (l *logReader) hop(e *entry, s *session) Hop {
	return Hop{
		Place: l.place(), Time: e.time, By: canonical(e.host), Recorded: checks.Recorded{
			Client: s.addr, Reverse: s.reverse, Name: s.name, Login: s.user, Helo: s.helo, Said: s.said,
		},
	}
}

// refuse adds a refusal to the session's attempt, or begins another: each recipient may be refused in a line
// of its own.
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

// giveUp ends a refused attempt, and so yields its hop.
func (l *logReader) giveUp(s *session) {
	if s.refused != nil {
		l.yield(*s.refused)
		s.refused = nil
	}
}

// meet sets the client of a session. If it is another one than before, the end of the old connection was not
// logged.
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
