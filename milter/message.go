package milter

import (
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
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
	open     bool
	internal bool   // an error of ours: it is not judged any more
	exempt   string // why it is not judged, or ""
	login    bool   // the client has logged in
	start    time.Time
	from     string
	rcpts    []string // the first ones, up to maxRcpts
	size     int      // of all recipients
	facts    *checks.Facts
	judged   []checks.Finding // of all recipients
	passing  []checks.Finding // of those that were not refused
	did      checks.Action    // the strictest refusal that was sent
	own      inbound          // fields of our header's name
	results  inbound          // Authentication-Results
	header   string           // the value of the header that we put in
}

// begin opens a transaction, even if no CONNECT came before.
func (s *session) begin(from string) {
	s.server.transactions.begin()
	s.message = message{open: true, internal: s.internal, start: time.Now(), from: cut(from, maxPath)}
	s.sure()
	s.message.exempt = s.exempt
}

// add keeps a recipient. One that has made the judgement worse is always kept, so that the record leads to the
// same verdict again.
func (m *message) add(rcpt string, worse bool) {
	rcpt = cut(rcpt, maxPath)
	if m.size += len(rcpt) + 16; m.size <= maxRcpts || worse {
		m.rcpts = append(m.rcpts, rcpt)
	}
}

// settled tells whether there is something to say of the message.
func (m *message) settled() bool { return m.judged != nil || m.exempt != "" || m.internal }

// decide judges the session with one recipient, or with none yet, and answers.
func (s *session) decide(rcpt string) *gomilter.Response {
	msg := &s.message
	if msg.facts == nil && msg.exempt == "" && !msg.internal {
		msg.facts = s.lookups.Facts() // the same for all recipients: they are in the record once
		msg.facts.Login = msg.login
		if s.mta.Differs(msg.facts.Iprev()) {
			msg.facts.MTAResolve = s.mta
		}
		msg.exempt = s.cfg.Exempt.Listed(msg.facts, msg.start)
	}
	if msg.exempt != "" || msg.internal {
		return gomilter.RespContinue
	}
	findings := checks.Evaluate(msg.facts, s.cfg.Deny, rcpt)
	msg.judged = checks.Worst(msg.judged, findings)
	verdict := s.cfg.Policy.Judge(findings)
	if action := verdict.Did(); action != checks.Off {
		resp, err := response(verdict.Reply(msg.facts, s.cfg.HelpURL))
		if err == nil {
			msg.did = max(msg.did, action)
			return resp
		}
		s.cfg.Log.Error("cannot send a refusal", "id", s.id, "error", err)
	}
	msg.passing = checks.Worst(msg.passing, findings)
	return gomilter.RespContinue
}

// response turns a reply into the library's form, which repeats both codes on each line by itself.
func response(r *checks.Reply) (*gomilter.Response, error) {
	return gomilter.RejectWithCodeAndReason(uint16(r.Code.Reply), r.Enhanced+" "+strings.Join(r.Lines, "\n"))
}

// mark takes out the fields that claim to be ours, and inserts ours at the very top.
func (s *session) mark(m gomilter.Modifier) {
	msg := &s.message
	errs := []error{msg.own.remove(m, s.cfg.Header), msg.results.remove(m, resultsField)}
	if s.cfg.AuthResults && msg.open {
		if value := authResults(s.host, s.facts()); value != "" {
			errs = append(errs, m.InsertHeader(0, resultsField, value))
		}
	}
	value := ""
	if s.cfg.Header != "" && msg.open {
		s.twice(func() { value = s.header() })
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
	facts, findings := s.facts(), s.message.passing
	verdict := s.verdict(findings)
	return s.cfg.Policy.Header(s.id, facts, findings, &verdict)
}

// facts are what is known of the message's client, and without a look at the DNS where none was needed.
func (s *session) facts() *checks.Facts {
	switch {
	case s.message.facts != nil:
		return s.message.facts
	case s.lookups != nil:
		f := s.lookups.Unasked()
		f.Login = s.message.login
		return f
	default: // an internal error
		return &checks.Facts{}
	}
}

// verdict is the message's: that of its worst recipients among the findings.
func (s *session) verdict(findings []checks.Finding) checks.Verdict {
	switch msg := &s.message; {
	case msg.internal:
		return checks.Verdict{Internal: true, Mode: s.cfg.Policy.Mode}
	case msg.exempt != "":
		return checks.Verdict{Exempt: msg.exempt, Mode: s.cfg.Policy.Mode}
	default:
		return s.cfg.Policy.Judge(findings)
	}
}

// finish ends the transaction: with a line in the log, and with Decided.
func (s *session) finish(queueID string) {
	if !s.message.open {
		s.message = message{}
		return
	}
	defer func() {
		s.message = message{}
		s.server.transactions.end()
	}()
	if !s.message.settled() {
		return
	}
	var d *checks.Decision
	s.twice(func() { d = s.decision(cut(queueID, maxMacro)) })
	if d == nil {
		return
	}
	s.try(func() { s.log(d) })
	if s.cfg.Decided != nil {
		s.try(func() { s.cfg.Decided(d) })
	}
}

func (s *session) decision(queueID string) *checks.Decision {
	facts, msg := s.facts(), &s.message
	return &checks.Decision{
		ID: s.id, MTA: facts.Site.Hostname, QueueID: queueID, MailFrom: msg.from, RcptTo: msg.rcpts,
		Facts: facts, Findings: msg.judged, Verdict: s.verdict(msg.judged), Did: msg.did, Header: msg.header,
		HelpURL: s.cfg.HelpURL, Time: msg.start, Took: time.Since(msg.start),
	}
}

func (s *session) log(d *checks.Decision) {
	facts, policy, client := d.Facts, s.cfg.Policy, "none"
	if facts.Client.IsValid() {
		client = facts.Client.String()
	}
	s.cfg.Log.Info("decision", slog.String("id", d.ID), slog.String("queue_id", printable(d.QueueID)),
		slog.String("client", client), slog.String("helo", printable(facts.LastHelo().Raw)),
		slog.String("from", printable(d.MailFrom)), slog.String("to", printable(strings.Join(d.RcptTo, ","))),
		slog.String("want", d.Verdict.Want()), slog.String("did", d.Did.Answer()),
		slog.String("rules", policy.Names(d.Findings, checks.Fail)),
		slog.String("unsure", policy.Unsure(d.Findings, &d.Verdict)),
		slog.String("iprev", facts.Iprev()), slog.Float64("score", d.Verdict.Score),
		slog.Duration("took", d.Took))
}

// maxLogged bounds a text of the network in the log, in bytes.
const maxLogged = 4096

// printable makes text from the network fit for the log: what is not printable becomes "?". slog lets DEL
// through, and escapes the rest with Go's \x, which logfmt does not know.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text[:min(len(text), maxLogged)])
}

// cut keeps at most limit bytes of a text from the network, as valid UTF-8, and lets go of the rest.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = strings.Clone(text[:limit])
	}
	return strings.ToValidUTF8(text, "?")
}
