package door

import (
	"cmp"
	"slices"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// How much of what an MTA says is kept until the end of a message. A path has at most 256 octets (RFC 5321
// §4.5.3.1.3), and with SMTPUTF8 (RFC 6531 §3.3) some more.
const (
	maxPath  = 1024
	maxRcpts = 64 << 10 // all recipients, with 16 bytes for each string
	maxName  = 255      // a host name or a queue id
)

// message is one mail transaction.
type message struct {
	start  time.Time
	from   string
	rcpts  []string // the first ones, up to maxRcpts
	size   int      // of all recipients
	header string   // the value of the header that was put in
}

// Mail begins a transaction, and ends one that is open. No CONNECT or HELO need have come before it.
func (s *Session) Mail(from string) {
	s.Finish("")
	s.connected()
	s.transactions.begin()
	s.message = &message{start: time.Now(), from: clean.Text(from, maxPath)}
	s.pipe.Mail(s.message.start)
	if s.internal {
		s.pipe.Abandon()
	}
}

// Open reports whether a transaction is open.
func (s *Session) Open() bool { return s.message != nil }

// add keeps a recipient. One that has made the judgement worse is always kept, so that the record leads to the
// same verdict again.
func (m *message) add(rcpt string, worse bool) {
	rcpt = clean.Text(rcpt, maxPath)
	if m.size += len(rcpt) + 16; m.size <= maxRcpts || worse {
		m.rcpts = append(m.rcpts, rcpt)
	}
}

// Rcpt judges the client for one recipient, and returns the reply that refuses it, or nil. It waits for the lookups.
// Config.Mailbox is always refused, with the judgement as its reply.
func (s *Session) Rcpt(to string) *checks.Reply {
	if !s.Open() {
		s.Mail("") // no MTA does this
	}
	if s.Config.Asked(to) {
		s.message.add(to, false)
		return s.answer()
	}
	before := s.pipe.Findings()
	defer func() { s.message.add(to, !slices.Equal(before, s.pipe.Findings())) }()
	return s.judge(checks.Domain(to))
}

// answer returns the reply for Config.Mailbox, after an internal error as well: whoever asks hears of it.
func (s *Session) answer() (reply *checks.Reply) {
	s.retry(func() { reply = s.pipe.Answer(s.ID) })
	return reply
}

// Judge is Rcpt for no recipient yet.
func (s *Session) Judge() *checks.Reply { return s.judge("") }

func (s *Session) judge(domain string) *checks.Reply {
	verdict := s.pipe.Rcpt(domain)
	if verdict.Did() == checks.Off {
		return nil
	}
	return s.pipe.Reply(&verdict, s.ID)
}

// Value returns the value of our header field for a message: what it says of the recipients that the message goes to.
// A message whose recipients the MTA did not report is judged now. It is "" for no field. It does not panic.
func (s *Session) Value() (value string) {
	if !s.Open() {
		return ""
	}
	if !s.pipe.Settled() {
		s.Try(func() { s.Judge() })
	}
	if s.Config.Header == "" {
		return ""
	}
	s.retry(func() {
		verdict := s.pipe.Passing()
		value = verdict.Header(s.ID, s.pipe.Facts())
	})
	return value
}

// Marked notes that the message got our header field with that value.
func (s *Session) Marked(value string) {
	if s.Open() {
		s.message.header = value
	}
}

// Finish ends the transaction, with Config.Decided if anything was judged. It does not panic.
func (s *Session) Finish(queueID string) {
	if !s.Open() {
		return
	}
	defer func() {
		s.message = nil
		s.transactions.end()
	}()
	if !s.pipe.Settled() {
		return
	}
	var d *checks.Decision
	s.retry(func() { d = s.decision(clean.Text(queueID, maxName)) })
	if d == nil {
		return
	}
	s.class = classOf(&d.Verdict)
	if s.Config.Decided != nil {
		s.Try(func() { s.Config.Decided(d) })
	}
}

// classOf returns what a verdict makes of the client, see Config.Ended.
func classOf(v *checks.Verdict) string {
	if v.Internal {
		return Undecided
	}
	return cmp.Or(v.Exempt, Judged)
}

func (s *Session) decision(queueID string) *checks.Decision {
	d, msg := s.pipe.Decision(), s.message
	d.ID, d.QueueID, d.MailFrom, d.RcptTo, d.Header = s.ID, queueID, msg.from, msg.rcpts, msg.header
	d.Took = time.Since(msg.start)
	return d
}
