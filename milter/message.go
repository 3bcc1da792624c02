package milter

import (
	"cmp"
	"errors"
	"strings"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// How much of what an MTA says is kept until the end of a message. A path has at most 256 octets (RFC 5321
// §4.5.3.1.3), and with SMTPUTF8 (RFC 6531 §3.3) some more.
const (
	maxPath  = 1024
	maxRcpts = 64 << 10 // all recipients, with 16 bytes for each string
	maxMacro = 255      // a host name or a queue id
)

// message is one mail transaction.
type message struct {
	open    bool
	start   time.Time
	from    string
	rcpts   []string // the first ones, up to maxRcpts
	size    int      // of all recipients
	own     inbound  // fields of our header's name
	results inbound  // Authentication-Results
	header  string   // the value of the header that we put in
}

// begin opens a transaction, even if no CONNECT came before.
func (s *session) begin(from string) {
	s.connected()
	s.server.transactions.begin()
	s.message = message{open: true, start: time.Now(), from: clean.Text(from, maxPath)}
	s.pipe.Mail(s.message.start)
	if s.internal {
		s.pipe.Abandon()
	}
}

// add keeps a recipient. One that has made the judgement worse is always kept, so that the record leads to the
// same verdict again.
func (m *message) add(rcpt string, worse bool) {
	rcpt = clean.Text(rcpt, maxPath)
	if m.size += len(rcpt) + 16; m.size <= maxRcpts || worse {
		m.rcpts = append(m.rcpts, rcpt)
	}
}

// answer judges the session with the domain of one recipient, or with none yet, and answers.
func (s *session) answer(domain string) *gomilter.Response {
	verdict := s.pipe.Rcpt(domain)
	if verdict.Did() == checks.Off {
		return gomilter.RespContinue
	}
	resp, err := response(verdict.Reply(s.pipe.Facts(), s.cfg.HelpURL))
	if err != nil {
		panic(err) // a reply fits the protocol whatever is in it: the mail goes on, and somebody hears of it
	}
	return resp
}

// response turns a reply into the library's form, which repeats both codes on each line by itself.
func response(r *checks.Reply) (*gomilter.Response, error) {
	return gomilter.RejectWithCodeAndReason(uint16(r.Code.Reply), r.Enhanced+" "+strings.Join(r.Lines, "\n"))
}

// mark takes out the fields that claim to be ours, and inserts ours at the very top: as far as the MTA has
// offered that. The library inserts for an MTA that only lets fields be changed, too, where Sendmail
// (milter.c) logs that the milter "lied about adding headers".
func (s *session) mark(m gomilter.Modifier) {
	msg := &s.message
	var errs []error
	if m.Actions()&gomilter.OptChangeHeader != 0 {
		own, ownErr := msg.own.remove(m, s.cfg.Header)
		results, resultsErr := msg.results.remove(m, resultsField)
		errs = append(errs, ownErr, resultsErr)
		if n := own + results; n > 0 && s.cfg.Stripped != nil {
			s.cfg.Stripped(n)
		}
	}
	adds := m.Actions()&gomilter.OptAddHeader != 0 && msg.open
	if adds && s.cfg.AuthResults {
		if value := authResults(s.host, s.pipe.Facts()); value != "" {
			errs = append(errs, m.InsertHeader(0, resultsField, value))
		}
	}
	value := ""
	if adds && s.cfg.Header != "" {
		s.retry(func() { value = s.header() })
	}
	if value != "" {
		err := m.InsertHeader(0, s.cfg.Header, value)
		if err == nil {
			msg.header = value
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		s.cfg.Log.Warn("cannot change the header", "id", s.id, "error", err)
	}
}

// header is what the message says of the recipients that it goes to.
func (s *session) header() string {
	verdict := s.pipe.Passing()
	return verdict.Header(s.id, s.pipe.Facts())
}

// finish ends the transaction, with Decided if anything was judged.
func (s *session) finish(queueID string) {
	if !s.message.open {
		s.message = message{}
		return
	}
	defer func() {
		s.message = message{}
		s.server.transactions.end()
	}()
	if !s.pipe.Settled() {
		return
	}
	var d *checks.Decision
	s.retry(func() { d = s.decision(clean.Text(queueID, maxMacro)) })
	if d == nil {
		return
	}
	s.class = classOf(&d.Verdict)
	if s.cfg.Decided != nil {
		s.try(func() { s.cfg.Decided(d) })
	}
}

// classOf returns what a verdict makes of the client, see Config.Ended.
func classOf(v *checks.Verdict) string {
	if v.Internal {
		return Undecided
	}
	return cmp.Or(v.Exempt, Judged)
}

func (s *session) decision(queueID string) *checks.Decision {
	d, msg := s.pipe.Decision(), &s.message
	d.ID, d.QueueID, d.MailFrom, d.RcptTo, d.Header = s.id, queueID, msg.from, msg.rcpts, msg.header
	d.Took = time.Since(msg.start)
	return d
}
