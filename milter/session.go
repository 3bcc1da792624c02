package milter

import (
	"net/netip"
	"strings"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/milter/door"
)

// session is one SMTP session, as the MTA tells it. CONNECT and HELO start lookups and are answered at
// once; MAIL or RCPT waits for them.
type session struct {
	gomilter.NoOpMilter
	door.Session
	server  *Server
	own     inbound // fields of our header's name in the message
	results inbound // Authentication-Results
}

// NewConnection is called first, and again when the MTA uses a connection for another SMTP session.
func (s *session) NewConnection(gomilter.Modifier) error {
	s.Cleanup(nil)
	*s = session{server: s.server, Session: door.New(s.server.config.Load(), &s.server.transactions)}
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
	macro := func(name gomilter.MacroName) string { return clean.Text(m.Get(name), maxMacro) }
	s.Session.Connect(client, macro(gomilter.MacroMTAFQDN),
		parseAddr(macro(gomilter.MacroDaemonAddr)), parseAddr(macro(gomilter.MacroIfAddr)))
	s.Resolved(checks.MTAResolve{
		Resolve: macro(macroClientResolve), Name: macro(gomilter.MacroClientName), PTR: macro(gomilter.MacroClientPTR),
	})
	return gomilter.RespContinue, nil
}

// Helo starts the lookup of the name.
func (s *session) Helo(name string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.Greet(name)
	return gomilter.RespContinue, nil
}

// MailFrom begins a transaction. No Abort comes before it when the last one ended well in Sendmail.
func (s *session) MailFrom(from, _ string, m gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	s.finish("")
	s.Mail(from)
	if m.Get(gomilter.MacroAuthType) != "" || m.Get(gomilter.MacroAuthAuthen) != "" {
		s.LoggedIn()
	}
	if s.Config.ReplyAt == door.AtMail && m.Protocol()&gomilter.OptNoMailReply == 0 {
		return response(s.Judge()), nil
	}
	return gomilter.RespContinue, nil
}

// RcptTo answers for one recipient.
func (s *session) RcptTo(to, _ string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	return response(s.Rcpt(to)), nil
}

// Header counts the fields that came with the message and of which some may claim to be ours.
func (s *session) Header(name, value string, _ gomilter.Modifier) (resp *gomilter.Response, _ error) {
	defer s.failOpen(&resp)
	switch name = strings.TrimSpace(name); {
	case s.Config.Header != "" && strings.EqualFold(name, s.Config.Header):
		s.own.add(true)
	case s.Config.AuthResults && strings.EqualFold(name, door.ResultsField):
		s.results.add(door.Claims(value, s.Host))
	}
	return gomilter.RespContinue, nil
}

// EndOfMessage takes out the fields that claim to be ours and puts ours in.
func (s *session) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	s.Try(func() { s.mark(m) })
	s.finish(m.Get(gomilter.MacroQueueId))
	return gomilter.RespAccept, nil
}

// Abort ends the transaction, not the session: Postfix sends it after each repeated EHLO, too.
func (s *session) Abort(gomilter.Modifier) error {
	s.finish("")
	return nil
}

// finish ends the transaction.
func (s *session) finish(queueID string) {
	s.Finish(queueID)
	s.own, s.results = inbound{}, inbound{}
}

// Cleanup ends the session.
func (s *session) Cleanup(gomilter.Modifier) { s.Leave() }

// failOpen lets the mail go on when a callback panics, which would end the daemon.
func (s *session) failOpen(resp **gomilter.Response) {
	if s.Survives(recover()) {
		*resp = gomilter.RespContinue
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
