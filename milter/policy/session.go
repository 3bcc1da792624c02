package policy

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/milter/door"
)

// session is one SMTP session. Requests of it may come on several connections, one after the other.
type session struct {
	key  key
	last time.Time // of a request; the table's

	mu sync.Mutex
	door.Session
	connected, over bool
	helo            string // the last greeting
	message         message
}

// message is what is known of a message beside the door's transaction.
type message struct {
	instance, sender, queueID string

	begun  bool   // there is one
	login  bool   // its client has authenticated itself
	data   bool   // DATA or END-OF-MESSAGE was asked about
	header bool   // the header field was said
	rcpt   string // that was asked about last, if any
	asked  bool   // there is a rcpt
	answer string // to that
}

// dunno lets Postfix go on with what it asks after us.
const dunno = "DUNNO"

// answer returns the action for a request. It waits for the lookups where the answer takes them.
func (s *session) answer(r *request) (action string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over { // since it was found
		return dunno
	}
	defer func() {
		if s.Survives(recover()) {
			action = dunno
		}
	}()
	s.connect(r)
	s.greet(r)
	switch r.state {
	case "MAIL":
		s.mail(r)
		if s.Config.ReplyAt == door.AtMail {
			return s.refusal(s.Judge(), r)
		}
	case "RCPT":
		s.mail(r)
		return s.rcpt(r)
	case "DATA":
		s.mail(r)
		s.message.data = true
		return s.data(r)
	case "END-OF-MESSAGE":
		if s.message.continues(r) {
			s.message.data = true
			s.Finish(r.queueID)
		}
	}
	return dunno
}

// connect opens the session with its first request.
func (s *session) connect(r *request) {
	if s.connected {
		return
	}
	s.connected = true
	client, server := parseAddr(r.client), parseAddr(r.server)
	s.Connect(client, clean.Text(r.serverName, maxKey), server)
	if r.clientName != "" && r.clientName != unknown {
		s.Resolved(checks.MTAResolve{
			Resolve: "OK", Name: clean.Text(r.clientName, maxKey), PTR: clean.Text(r.reverseName, maxKey),
		})
	}
}

// unknown is Postfix's name for a client whose name it could not confirm: whether that failed, it does not say.
const unknown = "unknown"

// parseAddr reads an address. What is none, such as "unknown", is that of nobody.
func parseAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// greet notes a greeting that was not asked about last. It ends a transaction: RFC 5321 §4.1.4. A server that has
// forgotten the greeting, as after STARTTLS, does not undo it.
func (s *session) greet(r *request) {
	if r.helo == "" || r.helo == s.helo || neutered(r.helo) == neutered(s.helo) {
		return
	}
	if s.helo != "" {
		s.finish()
	}
	s.helo = r.helo
	s.Greet(r.helo)
}

// neutered is what Postfix makes of a greeting once it has asked about it at HELO (helo_cmd in smtpd.c, printable.c).
func neutered(helo string) string {
	bytes := []byte(helo)
	for i, c := range bytes {
		if c < ' ' || c > '~' || strings.IndexByte(` <>()\";@`, c) >= 0 {
			bytes[i] = '?'
		}
	}
	return string(bytes)
}

// finish ends the message.
func (s *session) finish() {
	s.Finish("")
	s.message = message{}
}

// mail begins a message, unless the request is about the one that was asked about last.
func (s *session) mail(r *request) {
	if !s.message.continues(r) {
		s.finish()
		s.message = message{begun: true, instance: cut(r.instance), sender: cut(r.sender)}
	}
	m := &s.message
	if m.instance == "" { // MAIL may be asked about before Postfix has one
		m.instance = cut(r.instance)
	}
	if r.queueID != "" {
		m.queueID = cut(r.queueID)
	}
	if !s.Open() {
		s.Mail(r.sender)
		m.login, m.asked = false, false
	}
	if !m.login && (r.saslMethod != "" || r.saslUsername != "") {
		m.login = true
		s.LoggedIn()
	}
}

// continues reports whether a request is about the message.
func (m *message) continues(r *request) bool {
	switch {
	case !m.begun, m.sender != cut(r.sender), m.instance != "" && m.instance != cut(r.instance):
		return false
	case r.state == "MAIL":
		return !m.asked && !m.data
	case r.state == "RCPT" && m.data: // DATA may have been refused; another message has no queue id yet
		return m.queueID != "" && m.queueID == cut(r.queueID)
	}
	return true
}

// rcpt answers for one recipient. Several lists of restrictions may ask about the same.
func (s *session) rcpt(r *request) string {
	m := &s.message
	if m.asked && m.rcpt == r.recipient {
		return m.answer
	}
	m.asked, m.rcpt, m.answer = true, r.recipient, dunno // also where judging panics
	action := s.refusal(s.Rcpt(r.recipient), r)
	m.answer = action
	if action == dunno && r.context == contextHeader {
		return s.header()
	}
	return action
}

// data says the header. All recipients are known: the transaction is decided.
func (s *session) data(r *request) string {
	action := s.header()
	s.Finish(r.queueID)
	return action
}

// contextHeader is the policy_context of who wants the header field with the answer to a recipient.
const contextHeader = "header"

// end ends the session.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.Leave()
}

// settle ends the transaction of a session whose connection has closed. More of the message may still come.
func (s *session) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Finish(s.message.queueID)
}
