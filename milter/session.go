package milter

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// session is one SMTP session, as the MTA tells it. CONNECT and HELO start lookups and are answered at
// once; MAIL or RCPT waits for them.
type session struct {
	gomilter.NoOpMilter
	server   *Server
	cfg      *Config // the one that the session began with
	id       string
	internal bool   // an error of ours: none of its messages is judged
	host     string // our own name
	pipe     *checks.Session
	class    string // by its last decision, see Config.Ended; "" before
	message  message
}

// NewConnection is called first, and again when the MTA uses a connection for another SMTP session.
func (s *session) NewConnection(gomilter.Modifier) error {
	s.Cleanup(nil)
	cfg := s.server.config.Load()
	*s = session{server: s.server, cfg: cfg, id: newID(), host: cfg.Site.Hostname}
	return nil
}

// Connect starts the lookup of the client.
func (s *session) Connect(
	_, family string, _ uint16, addr string, m gomilter.Modifier,
) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.internal = false
	client := netip.Addr{}
	if family == "tcp4" || family == "tcp6" {
		client = parseAddr(addr)
	}
	macro := func(name gomilter.MacroName) string { return clean.Text(m.Get(name), maxMacro) }
	site := s.cfg.Site
	site.Hostname = cmp.Or(site.Hostname, checks.Canonical(macro(gomilter.MacroMTAFQDN)))
	site.Addresses = slices.Clone(site.Addresses)
	for _, name := range []gomilter.MacroName{gomilter.MacroDaemonAddr, gomilter.MacroIfAddr} {
		if a := parseAddr(macro(name)); a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			site.Addresses = append(site.Addresses, a)
		}
	}
	s.host = site.Hostname
	s.open(client, site)
	s.pipe.MTAResolved(checks.MTAResolve{
		Resolve: macro(macroClientResolve), Name: macro(gomilter.MacroClientName), PTR: macro(gomilter.MacroClientPTR),
	})
	return gomilter.RespContinue, nil
}

// open opens the session of a client that speaks to a site.
func (s *session) open(client netip.Addr, site checks.Site) {
	s.leave()
	s.pipe = s.cfg.Open(context.Background(), s.cfg.DNS, client, site)
}

// leave ends the lookups. A panic in one that was not waited for has not affected any transaction.
func (s *session) leave() {
	defer func() { s.report(recover()) }()
	if s.pipe == nil {
		return
	}
	if s.cfg.Ended != nil {
		s.cfg.Ended(cmp.Or(s.class, Undecided))
	}
	pipe := s.pipe
	s.pipe, s.class = nil, ""
	pipe.Close()
}

// connected makes up for a CONNECT that did not come.
func (s *session) connected() {
	if s.pipe == nil {
		s.open(netip.Addr{}, s.cfg.Site)
	}
}

// Helo starts the lookup of the name.
func (s *session) Helo(name string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.connected()
	s.pipe.Greet(checks.ParseHelo(name))
	return gomilter.RespContinue, nil
}

// MailFrom begins a transaction. No Abort comes before it when the last one ended well in Sendmail.
func (s *session) MailFrom(from, _ string, m gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.finish("")
	s.begin(from)
	if m.Get(gomilter.MacroAuthType) != "" || m.Get(gomilter.MacroAuthAuthen) != "" {
		s.pipe.LoggedIn()
	}
	if s.cfg.ReplyAt == AtMail && m.Protocol()&gomilter.OptNoMailReply == 0 {
		return s.answer(""), nil
	}
	return gomilter.RespContinue, nil
}

// RcptTo answers for one recipient.
func (s *session) RcptTo(to, _ string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	if !s.message.open {
		s.begin("") // no MTA does this
	}
	before := s.pipe.Findings()
	defer func() { s.message.add(to, !slices.Equal(before, s.pipe.Findings())) }()
	return s.answer(checks.Domain(to)), nil
}

// Header counts the fields that came with the message and of which some may claim to be ours.
func (s *session) Header(name, value string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	switch name = strings.TrimSpace(name); {
	case s.cfg.Header != "" && strings.EqualFold(name, s.cfg.Header):
		s.message.own.add(true)
	case s.cfg.AuthResults && strings.EqualFold(name, resultsField):
		s.message.results.add(claims(value, s.host))
	}
	return gomilter.RespContinue, nil
}

// EndOfMessage takes out the fields that claim to be ours and puts ours in.
func (s *session) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	if s.message.open && !s.pipe.Settled() {
		s.try(func() { s.answer("") }) // a message whose recipients the MTA did not report
	}
	s.try(func() { s.mark(m) })
	s.finish(m.Get(gomilter.MacroQueueId))
	return gomilter.RespAccept, nil
}

// Abort ends the transaction, not the session: Postfix sends it after each repeated EHLO, too.
func (s *session) Abort(gomilter.Modifier) error {
	s.finish("")
	return nil
}

// Cleanup ends the session.
func (s *session) Cleanup(gomilter.Modifier) {
	s.finish("")
	s.leave()
}

// failOpen lets the mail go on when a callback panics, which would end the daemon. The open transaction is not
// judged any further, or none of the session's where none is open. A recipient that was refused before stays
// refused.
func (s *session) failOpen(resp **gomilter.Response) {
	p := recover()
	if p == nil {
		return
	}
	if s.message.open {
		s.pipe.Abandon()
	} else {
		s.internal = true
	}
	if resp != nil {
		*resp = gomilter.RespContinue
	}
	s.report(p)
}

// try does what a callback must not fail for, and reports whether it did without a panic.
func (s *session) try(do func()) (ok bool) {
	defer s.failOpen(nil)
	do()
	return true
}

// retry does what takes a judgement, and once more as for an internal error where it panics.
func (s *session) retry(do func()) {
	if !s.try(do) {
		s.try(do)
	}
}

// report passes on what recover returned.
func (s *session) report(recovered any) {
	if recovered != nil && s.cfg.OnPanic != nil {
		p := checks.Caught(recovered)
		s.cfg.OnPanic(p.Value, p.Stack)
	}
}

// parseAddr reads an address of the MTA: Sendmail writes "IPv6:" before one.
func parseAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimPrefix(text, "IPv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
