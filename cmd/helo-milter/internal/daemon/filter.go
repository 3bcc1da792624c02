package daemon

import (
	"context"
	"fmt"
	"io"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/milter"
	"helo-milter/milter/door"
	"helo-milter/milter/opensmtpd"
)

// NewFilter is New for a filter of OpenSMTPD, which serves smtpd on stdin and stdout and no socket. smtpd
// ends when a filter does, so what the configuration names and cannot be opened now, such as an address
// that the filter before still has, is an error in the log: the next SIGHUP tries again.
func NewFilter(cfg *config.Config, stdin io.Reader, stdout, stderr io.Writer) (*Daemon, error) {
	d := newDaemon(stdout)
	d.activated = sockets{} // none, whatever the configuration says
	d.smtpd = stdin
	return d.begin(cfg, stderr)
}

// server is what serves an MTA: until it ends, which is an error but for smtpd.
type server interface {
	Configure(cfg *door.Config)
	Serve() error
	Transactions() int
	Shutdown(ctx context.Context) error
}

func (d *Daemon) newServer(first *change) server {
	if d.smtpd != nil {
		return opensmtpd.New(first.serving, d.smtpd, d.stdout)
	}
	return milter.NewServer(first.serving, d.guard)
}

// connections returns how many connections of MTAs are open, or SMTP sessions of smtpd.
func (d *Daemon) connections() int {
	if filter, ok := d.server.(*opensmtpd.Filter); ok {
		return filter.Sessions()
	}
	return d.gate.Connections()
}

// checkFilter is an error where the decision log is what smtpd reads.
func (d *Daemon) checkFilter(c *change) error {
	if d.smtpd != nil && c.cfg.DecisionLog == "-" {
		return &config.KeyError{
			Key: "decision_log", Err: fmt.Errorf("standard output is what smtpd reads: name a file"),
		}
	}
	return nil
}

// goesOn reports whether an error about what cannot be opened is only logged: at the start of a filter.
func (d *Daemon) goesOn(err error) bool {
	if d.smtpd == nil || d.cfg != nil {
		return false
	}
	d.log.Error("not opened before the next SIGHUP: smtpd would end if its filter did", "error", err)
	return true
}
