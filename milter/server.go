package milter

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/milter/door"
)

// Server serves milter sessions.
type Server struct {
	config       atomic.Pointer[door.Config]
	server       *gomilter.Server
	guard        *Guard
	transactions door.Transactions
	unable       atomic.Bool // it was logged that an MTA does not let us change the header
}

// macroClientResolve is OK, FAIL, FORGED or TEMP: what the MTA thinks of its client's name.
const macroClientResolve gomilter.MacroName = "{client_resolve}"

// maxMacro is how much of a macro is kept, in bytes: of a host name.
const maxMacro = 255

// macrosRead are the macros that sessions look at; of others they get to know nothing.
var macrosRead = []gomilter.MacroName{
	gomilter.MacroMTAFQDN, gomilter.MacroDaemonAddr, gomilter.MacroIfAddr, // at CONNECT
	gomilter.MacroClientName, gomilter.MacroClientPTR, macroClientResolve,
	gomilter.MacroAuthType, gomilter.MacroAuthAuthen, // at MAIL
	gomilter.MacroQueueId, // at the end of the message
}

// fields are the names of the header fields that sessions look at.
func fields(cfg *door.Config) (names []string) {
	if cfg.Header != "" {
		names = append(names, cfg.Header)
	}
	if cfg.AuthResults {
		names = append(names, door.ResultsField)
	}
	return names
}

// changesHeader is what is needed to take out fields that claim to be ours, and to put ours in.
const changesHeader = gomilter.OptAddHeader | gomilter.OptChangeHeader

// NewServer returns a server of that configuration for what comes through a guard: the library panics on
// some frames.
func NewServer(cfg *door.Config, guard *Guard) *Server {
	s := &Server{guard: guard}
	s.Configure(cfg)
	s.server = gomilter.NewServer(
		gomilter.WithMilter(func() gomilter.Milter { return &session{server: s} }),
		gomilter.WithActions(changesHeader),
		gomilter.WithMacroRequest(gomilter.StageConnect, []gomilter.MacroName{
			gomilter.MacroMTAFQDN, gomilter.MacroDaemonAddr, gomilter.MacroIfAddr,
			gomilter.MacroClientName, gomilter.MacroClientPTR, macroClientResolve,
		}),
		// Sendmail has the queue id at MAIL already. At the end of a message it gives what was asked for
		// there only to a milter that asked for something at the end of the header, too (milter_data in its
		// milter.c).
		gomilter.WithMacroRequest(gomilter.StageMail, []gomilter.MacroName{
			gomilter.MacroAuthType, gomilter.MacroAuthAuthen, gomilter.MacroQueueId,
		}),
		gomilter.WithMacroRequest(gomilter.StageEOM, []gomilter.MacroName{gomilter.MacroQueueId}),
		gomilter.WithNegotiationCallback(s.negotiate),
	)
	return s
}

// Configure gives a new configuration to the sessions that begin from now on.
func (s *Server) Configure(cfg *door.Config) {
	s.guard.read(macrosRead, fields(cfg)...)
	s.config.Store(cfg)
}

// Serve takes sessions until Shutdown, or until a listener breaks, with its error.
func (s *Server) Serve() error { return s.server.Serve(s.guard) }

// Transactions returns how many mail transactions are open.
func (s *Server) Transactions() int { return s.transactions.Open() }

// partingTime is how long sessions may take to end once nothing is read any more.
const partingTime = 2 * time.Second

// Shutdown closes the listeners and waits until no transaction is open, or until the context ends: then it
// returns an error. It closes the connections last, each after the reply that it is about to give.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.guard.Close()
	if waitErr := s.transactions.Wait(ctx); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("%d transactions are still open: %w", s.Transactions(), waitErr))
	}
	s.guard.Drain()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
	defer cancel()
	return errors.Join(err, s.server.Shutdown(ctx))
}

// negotiate asks for what we want of what the MTA offers. The library would hang up on an MTA that
// does not offer all of it: an old one, or Postfix with a small milter_protocol.
//
// CONNECT and HELO are answered: what is not, Postfix keeps until something is, and the lookups would start
// at RCPT. Header fields are always asked for: after a reload, a later SMTP session of the connection may
// want them.
func (s *Server) negotiate(
	mtaVersion, ourVersion uint32, mtaActions, ourActions gomilter.OptAction, offered, _ gomilter.OptProtocol,
	size gomilter.DataSize,
) (uint32, gomilter.OptAction, gomilter.OptProtocol, gomilter.DataSize, error) {
	cfg := s.config.Load()
	marks := cfg.Header != "" || cfg.AuthResults
	if marks && mtaActions&changesHeader != changesHeader && s.unable.CompareAndSwap(false, true) {
		cfg.Log.Warn("an MTA does not let milters add and change header fields: its messages are judged, but what "+
			"it does not offer is not done", "offered", (mtaActions & changesHeader).String())
	}
	wanted := gomilter.OptNoBody | gomilter.OptNoEOH | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoHeaderReply
	if cfg.ReplyAt != door.AtMail {
		wanted |= gomilter.OptNoMailReply
	}
	return min(mtaVersion, ourVersion), mtaActions & ourActions, offered & wanted, size, nil
}
