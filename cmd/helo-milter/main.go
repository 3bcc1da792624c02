// Command helo-milter judges SMTP clients by their HELO and reverse DNS, for Postfix and Sendmail.
//
// This directory is a list of commands, a file each; what they run on is in internal/:
//
//	config    the configuration file, and the one value that it becomes
//	daemon    what serves: sockets, reload, metrics, systemd, decision log
//	past      what hosts recorded of their clients: mailboxes, messages, logs
//	inorder   work in several goroutines, its results in order
//	replay    takes that through the same pipe as a session
//	sentinel  looks at the hosts that mail is sent from, once or again and again
//	evidence  weighs decision logs, for report
//	listfile  the allow and deny list that commands edit
//	fleet     what several hosts share
//	spool     a log that never holds up its writer
//
// To add a command: a struct with the flags as kong tags and a method Run(*program) error in a file of its name,
// and a line in commands below. Run prints to p.stdout, and returns nil (exit 0), exitError{code, err}, or any
// other error (exit 1). README's list of commands names it. A command that judges opens a checks.Session as
// check.go does; it never asks the DNS itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/dnscache"
)

// Exit codes: contract of every command.
const (
	exitDone   = 0
	exitBad    = 1  // a negative result, or an error while working
	exitUsage  = 2  // a command line error
	exitConfig = 78 // a configuration error: EX_CONFIG of sysexits.h
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for the sessions
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is the command line.
type commands struct {
	Config string `help:"Configuration file; default: the built-in configuration." placeholder:"FILE"`

	Serve    serveCmd     `cmd:"" default:"withargs" help:"Run the milter."`
	Filter   opensmtpdCmd `cmd:"" name:"opensmtpd" help:"Run as a filter of OpenSMTPD, on standard input and output."`
	Check    checkCmd     `cmd:"" help:"Judge one client through live DNS and explain it."`
	Show     showCmd      `cmd:"" help:"Find a decision in decision logs by its id, and explain it."`
	Replay   replayCmd    `cmd:"" help:"Judge past mail under this configuration."`
	Report   reportCmd    `cmd:"" help:"Show what decision logs say for and against enforcing each rule."`
	Allow    allowCmd     `cmd:"" help:"Edit the list of clients that are not judged."`
	Deny     denyCmd      `cmd:"" help:"Edit the list of names and networks that are denied."`
	Selftest selftestCmd  `cmd:"" help:"Judge this host, or given addresses, as others will when it sends mail."`
	Rules    rulesCmd     `cmd:"" help:"Print the rule table."`
	Settings configCmd    `cmd:"" name:"config" help:"Check the configuration and print it as it takes effect."`
	Version  versionCmd   `cmd:"" help:"Print the version."`

	Health healthCmd `cmd:"" hidden:"" help:"Ask the daemon of this configuration for /healthz."`
}

// program is what a command runs with.
type program struct {
	ctx            context.Context
	config         string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// exitError is an error that says how to exit.
type exitError struct {
	code int
	err  error // nil: everything has been said
}

func (e exitError) Error() string { return fmt.Sprint(e.err) }

// run is the program without its process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fleet.Debug(func(string) {}) // unless a daemon logs it
	var cli commands
	exited := false
	parser, err := kong.New(&cli, kong.Name("helo-milter"), kong.Writers(stdout, stderr),
		kong.Description("A milter that judges SMTP clients by their HELO and reverse DNS."),
		kong.Exit(func(int) { exited = true }))
	if err != nil {
		fmt.Fprintln(stderr, "helo-milter:", err)
		return exitUsage
	}
	command, err := parser.Parse(args)
	if exited { // --help
		return exitDone
	}
	if err == nil {
		err = command.Run(&program{ctx, cli.Config, stdin, stdout, stderr})
	} else {
		err = exitError{exitUsage, fmt.Errorf("%w (see helo-milter --help)", err)}
	}
	var exit exitError
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &exit):
		exit = exitError{exitBad, err}
	}
	if exit.err != nil {
		fmt.Fprintln(stderr, "helo-milter:", exit.err)
	}
	return exit.code
}

// configuration loads the configuration of the command line. Its mistakes are printed as editors read
// them, the place first.
func (p *program) configuration() (*config.Config, error) {
	c, err := config.Load(p.config)
	if err != nil {
		fmt.Fprintln(p.stderr, err)
		return nil, exitError{code: exitConfig}
	}
	return c, nil
}

// link has replies lead to help as those of the daemon do, for those who may read its key.
func (p *program) link(c *config.Config) {
	if c.Help.URL == "" || c.Help.KeyFile == "" {
		return
	}
	keys, err := help.ReadKeys(c.Help.KeyFile)
	if err != nil {
		fmt.Fprintln(p.stderr, "helo-milter: help.key_file: replies are shown without their links:", err)
		return
	}
	c.Judge.Help.Link = keys.Link(c.Help.URL)
}

// resolver is one for a command that ends.
func resolver(cfg *config.Config) (*dnscache.Resolver, error) {
	r, err := dnscache.New(cfg.Resolver)
	if err != nil {
		return nil, exitError{exitConfig, fmt.Errorf("dns: %w", err)}
	}
	return r, nil
}
