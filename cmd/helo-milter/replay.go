package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
	"helo-milter/cmd/helo-milter/internal/replay"
)

type replayCmd struct {
	JSON        bool     `help:"Print decision records instead of the summary, for report or another replay."`
	RecordedDNS bool     `name:"recorded-dns" help:"Judge by what was recorded and ask no DNS."`
	Trusted     string   `help:"Of mail: our host, or .domain, whose Received field counts." placeholder:"HOST"`
	Ham         []string `sep:"none" help:"Mail that is known to be good." placeholder:"FILE"`
	Spam        []string `sep:"none" help:"Mail that is known to be spam." placeholder:"FILE"`
	Verbose     bool     `short:"v" help:"Show what could not be read."`
	Files       []string `arg:"" optional:"" name:"file" help:"Decision log, mail log, mbox, Maildir or message; .gz, too; - is stdin."`
}

// Run judges past mail.
func (c *replayCmd) Run(p *program) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if len(c.Files)+len(c.Ham)+len(c.Spam) == 0 {
		return exitError{exitUsage, errors.New("replay: which files? (- is standard input)")}
	}
	r := &replay.Replay{Judge: cfg.Judge}
	if !c.RecordedDNS {
		resolver, err := resolver(cfg)
		if err != nil {
			return err
		}
		r.DNS = &cfg.DNS
		r.DNS.Resolver, r.DNS.Degraded = resolver, resolver.Degraded
	}
	read, finish := c.progress(p.stderr)
	source := &past.Source{Trusted: c.Trusted, Now: time.Now(), Stdin: p.stdin, Read: read}
	summary, err := c.judge(p, r, source)
	finish()
	switch {
	case p.ctx.Err() != nil:
		return errors.New("interrupted")
	case !c.JSON:
		fmt.Fprint(p.stdout, summary.Text(r.DNS != nil))
	case summary.Missing() > 0:
		fmt.Fprintf(p.stderr, "helo-milter: %d have no line here: they cannot be read, or not be judged\n",
			summary.Missing())
	}
	return err
}

// judge counts what becomes of everything, and prints the records for --json. The error is about files that
// could not be read, or not to the end.
func (c *replayCmd) judge(p *program, r *replay.Replay, source *past.Source) (*replay.Summary, error) {
	summary, unread := &replay.Summary{}, error(nil)
	out := bufio.NewWriter(p.stdout)
	for outcome := range r.All(p.ctx, c.items(p.ctx, source)) {
		summary.Add(outcome)
		if broken := new(past.Broken); outcome.Err != nil && !errors.As(outcome.Err, &broken) {
			unread = errors.Join(unread, outcome.Err)
		} else if outcome.Err != nil && c.Verbose {
			fmt.Fprintln(p.stderr, "helo-milter:", outcome.Err)
		}
		if c.JSON {
			write(out, outcome)
		}
	}
	return summary, errors.Join(unread, out.Flush())
}

// write prints records as a decision log has them.
func write(out io.Writer, o *replay.Outcome) {
	for _, record := range []*checks.Record{o.Then, o.Now} {
		if record != nil && (o.Hop || record == o.Now) {
			fmt.Fprintln(out, record)
		}
	}
}

// items are those of all files, with what the command line says that they are.
func (c *replayCmd) items(ctx context.Context, source *past.Source) iter.Seq2[past.Item, error] {
	return func(yield func(past.Item, error) bool) {
		for label, files := range c.labelled() {
			for _, file := range files {
				for item, err := range source.Items(ctx, file, past.Label(label)) {
					if !yield(item, err) {
						return
					}
				}
			}
		}
	}
}

// labelled are the files by past.Label.
func (c *replayCmd) labelled() [3][]string {
	return [...][]string{past.Unlabelled: c.Files, past.Ham: c.Ham, past.Spam: c.Spam}
}

// progress shows how much of the files is read, on a terminal only. finish may be called again.
func (c *replayCmd) progress(stderr io.Writer) (read func(int), finish func()) {
	terminal, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, func() {}
	}
	size := int64(0)
	for _, files := range c.labelled() {
		for _, file := range files {
			size += past.Size(file) // nobody knows that of standard input
		}
	}
	bar := pb.Full.New(0).SetTotal(size).Set(pb.Bytes, true).SetWriter(stderr).Start()
	return func(n int) { bar.Add(n) }, func() { bar.Finish() }
}
