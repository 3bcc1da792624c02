package main

import (
	"fmt"
	"io"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/daemon"
)

type configCmd struct {
	Default bool `help:"Print the commented default configuration instead."`
}

// Run prints a configuration, if serve would take it.
func (c configCmd) Run(p *program) error {
	if c.Default {
		_, err := io.WriteString(p.stdout, config.Default())
		return err
	}
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if err := daemon.Check(cfg); err != nil {
		return exitError{exitConfig, err}
	}
	for _, warning := range cfg.Warnings() {
		fmt.Fprintln(p.stderr, "helo-milter: warning:", warning)
	}
	for _, dir := range daemon.Missing(cfg) {
		fmt.Fprintf(p.stderr, "helo-milter: warning: %s does not exist: serve does not start without it\n", dir)
	}
	_, err = io.WriteString(p.stdout, cfg.String())
	return err
}
