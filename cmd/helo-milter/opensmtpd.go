package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"helo-milter/cmd/helo-milter/internal/daemon"
)

type opensmtpdCmd struct{}

// Run serves until smtpd closes standard input. smtpd ends when a filter does, so SIGTERM, which systemd
// sends to all processes of a service, is left to smtpd.
func (opensmtpdCmd) Run(p *program) error {
	defer collect(50, 32<<20)() // as serve does
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // first of all: see serve
	defer signal.Stop(hup)
	signal.Ignore(syscall.SIGPIPE)
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	d, err := daemon.NewFilter(cfg, p.stdin, p.stdout, p.stderr)
	if err != nil {
		return exitError{exitConfig, err}
	}
	stop := context.AfterFunc(p.ctx, func() {
		fmt.Fprintln(p.stderr, "helo-milter: terminated, but serving until smtpd ends; a second signal ends it at once")
	})
	defer stop()
	return d.Run(context.WithoutCancel(p.ctx), hup)
}
