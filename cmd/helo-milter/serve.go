package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"helo-milter/cmd/helo-milter/internal/daemon"
)

type serveCmd struct{}

// Run serves until the context ends.
func (serveCmd) Run(p *program) error {
	defer collect(50, 32<<20)() // from 32 MB in use on, it leaves less garbage than without
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go tidy(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // first of all: it must not end a daemon that is about to start
	defer signal.Stop(hup)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody takes any more is no reason to end
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	d, err := daemon.New(cfg, p.stdout, p.stderr)
	if err != nil {
		return exitError{exitConfig, err}
	}
	return d.Run(p.ctx, hup)
}
