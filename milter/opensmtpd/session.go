package opensmtpd

import (
	"strings"
	"sync"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/milter/door"
)

const (
	// maxQueue is how many bytes of a session may wait for it before the reader waits, too. smtpd sends a
	// session no command while it waits for an answer, so only a message that was not asked about before
	// comes to it: one whose sender, recipients and DATA another filter lets by ("bypass").
	maxQueue = 1 << 20
	// maxName is how much is kept of a name that smtpd says, in bytes.
	maxName = 255
)

// session is one SMTP session. Its events are worked through in order, by one goroutine at a time.
type session struct {
	door.Session
	filter        *Filter
	id            string
	authenticated bool
	message       message
	swapped       bool // answers have the token first

	mu      sync.Mutex
	changed sync.Cond
	queue   []line
	size    int // of the queue, in bytes
	working bool
}

// take queues an event, and returns without waiting for its answer.
func (s *session) take(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.size > maxQueue {
		s.changed.Wait()
	}
	s.queue = append(s.queue, l)
	s.size += len(l.params)
	if !s.working {
		s.working = true
		s.filter.working.Go(s.work)
	}
}

// work takes events until there are none.
func (s *session) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		events := s.queue
		s.queue, s.size = nil, 0
		s.changed.Broadcast()
		s.mu.Unlock()
		for _, l := range events {
			s.handle(l)
		}
		s.mu.Lock()
	}
	s.working = false
}

// handle has an event's effect, and answers a request, once.
func (s *session) handle(l line) {
	s.swapped = l.minor < tokenSecond
	switch {
	case !l.request:
		s.Try(func() { s.report(l) })
	case l.name == "data-line":
		s.Try(func() { s.dataLine(l.token, l.params) })
	default:
		var reply *checks.Reply
		if !s.Try(func() { reply = s.request(l) }) || reply == nil {
			s.answer("filter-result", l.token, "proceed")
			return
		}
		s.answer("filter-result", l.token, "reject", replyLine(reply))
	}
}

// report notes what smtpd tells.
func (s *session) report(l line) {
	switch l.name {
	case "link-connect":
		s.connect(l.params)
	case "link-identify":
		_, helo, _ := strings.Cut(l.params, "|")
		s.Greet(helo)
	case "link-auth":
		s.authenticated = s.authenticated || result(l) == "pass"
	case "tx-mail":
		if !s.Open() { // another filter let it by
			_, rest, _ := strings.Cut(l.params, "|")
			_, from, _ := strings.Cut(rest, "|")
			s.begin(from)
		}
	case "tx-commit":
		id, _, _ := strings.Cut(l.params, "|")
		s.Finish(id)
	case "tx-rollback":
		s.Finish("")
	case "link-disconnect":
		defer s.filter.forget(s)
		s.Leave()
	}
}

// result returns the result of link-auth.
func result(l line) string {
	if l.minor >= resultFirst {
		word, _, _ := strings.Cut(l.params, "|")
		return word
	}
	return l.params[strings.LastIndexByte(l.params, '|')+1:]
}

// connect takes the fields rdns, fcrdns, source and destination.
func (s *session) connect(params string) {
	fields := append(strings.SplitN(params, "|", 4), "", "", "")
	name, fcrdns := clean.Text(fields[0], maxName), fields[1]
	s.Connect(parseEnd(fields[2]), s.filter.host, parseEnd(fields[3]))
	s.Resolved(resolved(name, fcrdns))
}

// resolved is what smtpd found out about its client's name, in other MTAs' words. It looks at the first PTR
// name only, and says "<unknown>" where there is none, or where its lookup failed: smtp_getnameinfo_cb in
// its smtp_session.c.
func resolved(name, fcrdns string) checks.MTAResolve {
	unknown := name == "" || name == "<unknown>"
	if unknown {
		name = "unknown"
	}
	switch {
	case fcrdns == "pass" && !unknown:
		return checks.MTAResolve{Resolve: "OK", Name: name, PTR: name}
	case fcrdns == "fail" && unknown:
		return checks.MTAResolve{Resolve: "FAIL", Name: name, PTR: name}
	case fcrdns == "fail":
		return checks.MTAResolve{Resolve: "FORGED", Name: "unknown", PTR: name}
	case fcrdns == "error":
		return checks.MTAResolve{Resolve: "TEMP", Name: "unknown", PTR: name}
	}
	return checks.MTAResolve{}
}

// begin begins a transaction.
func (s *session) begin(from string) {
	s.message = message{}
	s.Mail(from)
	if s.authenticated {
		s.LoggedIn()
	}
}

// request returns the reply that refuses the command, or nil.
func (s *session) request(l line) *checks.Reply {
	switch l.name {
	case "mail-from":
		s.begin(l.params)
		if s.Config.ReplyAt == door.AtMail {
			return s.Judge()
		}
	case "rcpt-to":
		return s.Rcpt(l.params)
	case "data":
		s.Value() // judges the client if no recipient was reported: smtpd waits here, and not for data lines
	}
	return nil
}

// answer writes a line about a request of smtpd's.
func (s *session) answer(kind, token string, fields ...string) {
	answer(s.filter.out, s.swapped, kind, s.id, token, fields...)
}

func answer(out *output, swapped bool, kind, session, token string, fields ...string) {
	if swapped {
		session, token = token, session
	}
	out.line(append([]string{kind, session, token}, fields...)...)
}
