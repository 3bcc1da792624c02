// Package milter is the MTA's side of helo-milter: it takes sessions from Postfix or Sendmail over the
// milter protocol, has them judged by package checks, and gives the answer.
package milter

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
)

// Stage is where the verdict is given.
type Stage uint8

// The stages. What speaks against one recipient is always said at RCPT.
const (
	AtRcpt Stage = iota
	AtMail
)

var stageText = []string{"rcpt", "mail"}

// MarshalText implements encoding.TextMarshaler.
func (s Stage) MarshalText() ([]byte, error) { return []byte(stageText[s]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Stage) UnmarshalText(text []byte) error {
	i := slices.Index(stageText, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of mail, rcpt", text)
	}
	*s = Stage(i)
	return nil
}

// Config is all that a session needs. It is not changed any more once a Server has it.
type Config struct {
	DNS     *checks.DNS // its timeout is that of the wait at MAIL or RCPT
	Policy  *checks.Policy
	Exempt  *checks.Exemptions
	Deny    *checks.DenyList
	Site    checks.Site // the hostname is the MTA's when empty; its addresses are added
	ReplyAt Stage
	HelpURL string // stands at the end of every refusal
	Header  string // the name of the header field; "" adds none
	Log     *slog.Logger
	Decided func(*Decision) // is told of each transaction, from its session's goroutine; nil is nobody
}

// Decision is what became of a transaction.
type Decision struct {
	Facts    *checks.Facts
	Findings []checks.Finding // of all recipients; nil when the client is exempt
	Verdict  checks.Verdict   // by the worst of them
	Did      string           // accept, tempfail or reject
	Took     time.Duration    // from MAIL on
}

// Server serves milter sessions.
type Server struct {
	config atomic.Pointer[Config]
	server *gomilter.Server
}

// NewServer returns a server of that configuration.
func NewServer(cfg *Config) *Server {
	s := &Server{}
	s.config.Store(cfg)
	s.server = gomilter.NewServer(
		gomilter.WithMilter(func() gomilter.Milter { return &session{server: s} }),
		gomilter.WithActions(gomilter.OptAddHeader|gomilter.OptChangeHeader),
		gomilter.WithMacroRequest(gomilter.StageConnect, []gomilter.MacroName{
			gomilter.MacroMTAFQDN, gomilter.MacroDaemonAddr, gomilter.MacroIfAddr,
		}),
		gomilter.WithMacroRequest(gomilter.StageMail, []gomilter.MacroName{
			gomilter.MacroAuthType, gomilter.MacroAuthAuthen,
		}),
		gomilter.WithMacroRequest(gomilter.StageEOM, []gomilter.MacroName{gomilter.MacroQueueId}),
		gomilter.WithNegotiationCallback(s.negotiate),
	)
	return s
}

// Configure gives a new configuration to the sessions that begin from now on.
func (s *Server) Configure(cfg *Config) { s.config.Store(cfg) }

// Serve takes sessions from a listener until Shutdown. Only connections of Guard may come from it: the
// library panics on some frames. It may be called for several listeners.
func (s *Server) Serve(ln net.Listener) error { return s.server.Serve(ln) }

// Shutdown closes the listeners and waits for the sessions to end; when the context ends, it closes
// the rest.
func (s *Server) Shutdown(ctx context.Context) error { return s.server.Shutdown(ctx) }

// negotiate asks for what we want of what the MTA offers. The library would break up with an MTA that
// does not offer all of it: an old one, or Postfix with a small milter_protocol.
func (s *Server) negotiate(
	mtaVersion, ourVersion uint32, mtaActions, ourActions gomilter.OptAction, offered, _ gomilter.OptProtocol,
	size gomilter.DataSize,
) (uint32, gomilter.OptAction, gomilter.OptProtocol, gomilter.DataSize, error) {
	cfg := s.config.Load()
	wanted := gomilter.OptNoBody | gomilter.OptNoEOH | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoHeaderReply
	if cfg.ReplyAt != AtMail {
		wanted |= gomilter.OptNoMailReply
	}
	if cfg.Header == "" {
		wanted |= gomilter.OptNoHeaders
	}
	return min(mtaVersion, ourVersion), mtaActions & ourActions, offered & wanted, size, nil
}

// newID returns a session's name: 26 characters that no other session has.
func newID() string { return strings.ToLower(rand.Text()) }
