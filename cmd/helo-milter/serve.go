package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	gomilter "github.com/d--j/go-milter"

	"helo-milter/cmd/helo-milter/internal/spool"
)

type serveCmd struct{}

// Run serves until the context ends.
func (serveCmd) Run(p *program) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // first of all: it must not end a daemon that is about to start
	defer signal.Stop(hup)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody takes any more is no reason to end
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	lines := spool.New(struct{ io.Writer }{p.stderr}, nil)
	defer lines.Close(flushTime)
	log := slog.New(slog.NewTextHandler(lines, nil))
	gomilter.LogWarning = func(format string, args ...any) {
		log.Debug("go-milter", "warning", fmt.Sprintf(format, args...))
	}
	d, err := newDaemon(p, log)
	if err != nil {
		return exitError{exitConfig, err}
	}
	d.metrics.spool("log", lines)
	c, err := d.prepare(cfg)
	if err != nil {
		d.decisions.Close(0)
		return exitError{exitConfig, d.placed(err)}
	}
	d.commit(c)
	served := make(chan error, 1)
	go func() { served <- d.server.Serve() }()
	d.introduce(lines)
	err = d.run(p.ctx, hup, served)
	notify(log, sd.SdNotifyStopping)
	log.Info("stopping", "transactions", d.server.Transactions(), "they_have", time.Duration(d.cfg.Limits.Shutdown))
	d.stop()
	return err
}

// introduce says what to paste into the MTA's configuration, on standard output unless that is a log.
func (d *daemon) introduce(log io.Writer) {
	out := log
	if d.cfg.DecisionLog != "-" {
		lines := spool.New(struct{ io.Writer }{d.stdout}, nil) // a pipe that nobody reads must not hold up the start
		defer lines.Close(100 * time.Millisecond)
		out = lines
	}
	_, _ = io.WriteString(out, paste(d.sockets))
	d.log.Info("serving", "listen", d.sockets.names(), "mode", d.cfg.Mode.String(),
		"profile", d.cfg.Profile.String())
}

// run serves until the context ends or the server does.
func (d *daemon) run(ctx context.Context, hup <-chan os.Signal, served <-chan error) error {
	notify(d.log, sd.SdNotifyReady)
	watchdog := newWatchdog(d.log)
	defer watchdog.stop()
	for {
		select {
		case <-hup:
			notify(d.log, sd.SdNotifyReloading+"\n"+sd.SdNotifyMonotonicUsec())
			d.reload()
			notify(d.log, sd.SdNotifyReady)
		case <-watchdog.beat:
			d.live(ctx, watchdog.within)
		case err := <-served:
			return fmt.Errorf("a listener broke: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// paste is what the administrator copies into the MTA's configuration.
func paste(s sockets) string {
	var b strings.Builder
	for _, name := range s.names() {
		family, address, _ := strings.Cut(name, ":")
		postfix, sendmail := "unix:"+address, "local:"+address
		if host, port, err := net.SplitHostPort(address); family != "unix" && err == nil {
			postfix, sendmail = "inet:"+address, family+":"+port+"@"+host
		}
		fmt.Fprintf(&b, "Postfix, main.cf:\n    smtpd_milters = { %s, default_action=accept }\n", postfix)
		fmt.Fprintf(&b, "Sendmail, sendmail.mc:\n    INPUT_MAIL_FILTER(`helo-milter', `S=%s')dnl\n", sendmail)
	}
	return b.String()
}

// warnings are what is wrong with a configuration without being an error.
func (c *Config) warnings() []string {
	var list []string
	for _, a := range c.Allow {
		if a.Expired(time.Now()) {
			who := a.Name
			if a.Network.IsValid() {
				who = strings.TrimSpace(a.Network.String() + " " + a.Name)
			}
			list = append(list, fmt.Sprintf("allow: the entry for %s (%q) has expired: it has no effect",
				who, a.Reason))
		}
	}
	return list
}

// spareFiles are what is open beside connections: logs, listeners, questions to the DNS.
const spareFiles = 100

// openFiles is how many files this process may open; what is not known is not warned of.
func openFiles() (most int, known bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int(min(limit.Cur, 1<<30)), true
}
