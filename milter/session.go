package milter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
)

// session is one SMTP session, as the MTA tells it. CONNECT and HELO start lookups and are not
// answered; MAIL or RCPT waits for them.
type session struct {
	gomilter.NoOpMilter
	server  *Server
	cfg     *Config // the one that the session began with
	id      string
	exempt  string // by the client's address
	lookups *checks.Lookups
	message message
}

// message is one mail transaction.
type message struct {
	open     bool
	exempt   string
	start    time.Time
	from     string
	rcpts    []string
	facts    *checks.Facts
	judged   []checks.Finding // of all recipients
	passing  []checks.Finding // of those that were not refused
	own      int              // how many header fields of our name came with it
	answered bool             // a refusal was sent
}

// NewConnection is called first, and again when the MTA uses a connection for another SMTP session.
func (s *session) NewConnection(gomilter.Modifier) error {
	s.Cleanup(nil)
	*s = session{server: s.server, cfg: s.server.config.Load(), id: newID()}
	return nil
}

// Connect starts the lookup of the client.
func (s *session) Connect(
	_, family string, _ uint16, addr string, m gomilter.Modifier,
) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	client := netip.Addr{}
	if family == "tcp4" || family == "tcp6" {
		client = parseAddr(addr)
	}
	site := s.cfg.Site
	site.Hostname = cmp.Or(site.Hostname, checks.Canonical(m.Get(gomilter.MacroMTAFQDN)))
	site.Addresses = slices.Clone(site.Addresses)
	for _, macro := range []gomilter.MacroName{gomilter.MacroDaemonAddr, gomilter.MacroIfAddr} {
		if a := parseAddr(m.Get(macro)); a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			site.Addresses = append(site.Addresses, a)
		}
	}
	s.begin(client, site)
	return gomilter.RespContinue, nil
}

// begin starts the session of a client that speaks to a site.
func (s *session) begin(client netip.Addr, site checks.Site) {
	if s.lookups != nil {
		s.lookups.Close()
	}
	s.exempt = s.cfg.Exempt.Client(client)
	dns := s.cfg.DNS
	if s.exempt != "" {
		dns = nil
	}
	s.lookups = checks.NewLookups(context.Background(), dns, client, site)
}

// Helo starts the lookup of the name.
func (s *session) Helo(name string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.sure()
	s.lookups.Greet(checks.ParseHelo(name))
	return gomilter.RespContinue, nil
}

// sure makes up for a CONNECT that did not come.
func (s *session) sure() {
	if s.lookups == nil {
		s.begin(netip.Addr{}, s.cfg.Site)
	}
}

// MailFrom begins a transaction. No Abort comes before it when the last one ended well in Sendmail.
func (s *session) MailFrom(from, _ string, m gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.finish("")
	s.sure()
	s.message = message{open: true, start: time.Now(), from: from, exempt: s.exempt}
	authenticated := m.Get(gomilter.MacroAuthType) != "" || m.Get(gomilter.MacroAuthAuthen) != ""
	if s.message.exempt == "" && authenticated {
		s.message.exempt = s.cfg.Exempt.Login()
	}
	if s.cfg.ReplyAt == AtMail && m.Protocol()&gomilter.OptNoMailReply == 0 {
		return s.decide(""), nil
	}
	return gomilter.RespContinue, nil
}

// RcptTo answers for one recipient.
func (s *session) RcptTo(to, _ string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.sure()
	s.message.rcpts = append(s.message.rcpts, to)
	return s.decide(checks.Domain(to)), nil
}

// decide judges the session with one recipient, or with none yet, and answers.
func (s *session) decide(rcpt string) *gomilter.Response {
	msg, now := &s.message, time.Now()
	if msg.exempt == "" {
		msg.facts = s.lookups.Facts()
		msg.exempt = s.cfg.Exempt.Listed(msg.facts, now)
	}
	if msg.exempt != "" {
		return gomilter.RespContinue
	}
	findings := checks.Evaluate(msg.facts, s.cfg.Deny, rcpt)
	msg.judged = checks.Worst(msg.judged, findings)
	verdict := s.cfg.Policy.Judge(findings)
	if verdict.Did() == checks.Off {
		msg.passing = checks.Worst(msg.passing, findings)
		return gomilter.RespContinue
	}
	msg.answered = true
	return response(verdict.Reply(msg.facts, s.cfg.HelpURL), s.cfg.Log)
}

// Header counts the fields of our name that came with the message.
func (s *session) Header(name, _ string, _ gomilter.Modifier) (*gomilter.Response, error) {
	if strings.EqualFold(strings.TrimSpace(name), s.cfg.Header) {
		s.message.own++
	}
	return gomilter.RespContinue, nil
}

// EndOfMessage takes the fields of our name out and puts ours in.
func (s *session) EndOfMessage(m gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.sure()
	if s.message.open && s.message.judged == nil && s.message.exempt == "" {
		s.decide("") // a message without a recipient that we were told of
	}
	if s.cfg.Header != "" {
		if err := s.mark(m); err != nil {
			s.cfg.Log.Warn("cannot change the header", "id", s.id, "error", err)
		}
	}
	s.finish(m.Get(gomilter.MacroQueueId))
	return gomilter.RespAccept, nil
}

// mark deletes from the last field to the first, because Postfix counts anew after each and Sendmail
// does not, and inserts ours at the very top. A message that an internal error took from us gets none.
func (s *session) mark(m gomilter.Modifier) error {
	var errs error
	for i := s.message.own; i > 0; i-- {
		errs = errors.Join(errs, m.ChangeHeader(i, s.cfg.Header, ""))
	}
	if !s.message.open {
		return errs
	}
	facts, verdict := s.verdict(s.message.passing)
	value := s.cfg.Policy.Header(s.id, facts, s.message.passing, &verdict)
	return errors.Join(errs, m.InsertHeader(0, s.cfg.Header, value))
}

// verdict is the message's: that of its worst recipients among the findings.
func (s *session) verdict(findings []checks.Finding) (*checks.Facts, checks.Verdict) {
	facts := s.message.facts
	if facts == nil { // exempt without a look at the DNS
		facts = s.lookups.Unasked()
	}
	if s.message.exempt != "" {
		return facts, checks.Verdict{Exempt: s.message.exempt, Mode: s.cfg.Policy.Mode}
	}
	return facts, s.cfg.Policy.Judge(findings)
}

// finish ends the transaction with its line in the log.
func (s *session) finish(queueID string) {
	msg := s.message
	if msg.open && (msg.judged != nil || msg.exempt != "") {
		facts, verdict := s.verdict(msg.judged)
		d := &Decision{
			Facts: facts, Findings: msg.judged, Verdict: verdict, Did: "accept", Took: time.Since(msg.start),
		}
		if msg.answered {
			d.Did = verdict.DidText()
		}
		if s.cfg.Decided != nil {
			s.cfg.Decided(d)
		}
		s.cfg.Log.Info("decision", slog.String("id", s.id), slog.String("queue_id", queueID),
			slog.String("client", facts.Client.String()), slog.String("helo", facts.LastHelo().Raw),
			slog.String("from", msg.from), slog.String("to", strings.Join(msg.rcpts, ",")),
			slog.String("want", verdict.Want()), slog.String("did", d.Did),
			slog.String("rules", s.cfg.Policy.Names(msg.judged, checks.Fail)),
			slog.String("unsure", s.cfg.Policy.Names(msg.judged, checks.Unsure)),
			slog.String("iprev", facts.Iprev()), slog.Float64("score", verdict.Score),
			slog.Duration("took", d.Took))
	}
	s.message = message{}
}

// Abort ends the transaction, not the session: Postfix sends it after each repeated EHLO, too.
func (s *session) Abort(gomilter.Modifier) error {
	defer s.failOpen(nil)
	s.finish("")
	return nil
}

// Cleanup ends the session.
func (s *session) Cleanup(gomilter.Modifier) {
	if s.lookups == nil {
		return
	}
	defer s.lookups.Close()
	defer s.failOpen(nil)
	s.finish("")
}

// failOpen lets the mail go on when a callback panics; nobody else would stop the panic before it ends
// the daemon.
func (s *session) failOpen(resp **gomilter.Response) {
	if p := recover(); p != nil {
		s.cfg.Log.Error("internal error, the mail goes on", "id", s.id, "panic", p, "stack", string(debug.Stack()))
		s.message = message{}
		if resp != nil {
			*resp = gomilter.RespContinue
		}
	}
}

// response turns a reply into the library's form, which repeats both codes on each line by itself. Mail
// goes on if it cannot.
func response(r *checks.Reply, log *slog.Logger) *gomilter.Response {
	text := r.Enhanced + " " + strings.Join(r.Lines, "\n")
	resp, err := gomilter.RejectWithCodeAndReason(uint16(r.Code.Reply), text)
	if err != nil {
		log.Error("cannot send a refusal", "error", err)
		return gomilter.RespContinue
	}
	return resp
}

// parseAddr reads an address of the MTA: Sendmail writes "IPv6:" before one.
func parseAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimPrefix(text, "IPv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
