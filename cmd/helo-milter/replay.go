package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
	"helo-milter/cmd/helo-milter/internal/replay"
)

type replayCmd struct {
	JSON        bool     `help:"Print decision records, as input for report or another replay."`
	RecordedDNS bool     `name:"recorded-dns" help:"Judge from the recorded facts only, without DNS lookups."`
	Since       since    `help:"Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339)." placeholder:"WHEN"`
	Trusted     string   `help:"For mail: host, or .domain, whose Received fields to trust." placeholder:"HOST"`
	Ham         []string `sep:"none" help:"Mail known to be legitimate." placeholder:"FILE"`
	Spam        []string `sep:"none" help:"Mail known to be spam." placeholder:"FILE"`
	Verbose     bool     `short:"v" help:"Show what could not be read. Its forms have no address or name of anybody in them."`
	Files       []string `arg:"" optional:"" name:"file" help:"Decision log, mail log, mbox, Maildir or message, gzipped or not, or a pattern; - is stdin."`
}

// Run judges past mail.
func (c *replayCmd) Run(p *program) error {
	defer collect(100, 16<<20)()
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if len(c.Files)+len(c.Ham)+len(c.Spam) == 0 {
		return exitError{exitUsage, errors.New("replay: no input files (use - for standard input)")}
	}
	p.link(cfg)
	r := &replay.Replay{Judge: cfg.Judge}
	if !c.RecordedDNS {
		resolver, err := resolver(cfg)
		if err != nil {
			return err
		}
		r.DNS = cfg.Asking(resolver)
	}
	from := c.Since.from(time.Now())
	in, end, err := p.inputs(cfg, from, p.say, &c.Files, &c.Ham, &c.Spam)
	if err != nil {
		return err
	}
	defer end()
	paths, errs := c.paths()
	show := &progress{out: p.stderr}
	if _, busy := isTerminal(p.stdout); !busy || !c.JSON { // records are printed meanwhile
		show = newProgress(p.stderr, paths[:]...)
	}
	p.stderr = show
	source := &past.Source{
		Trusted: c.Trusted, Now: time.Now(), From: from, Inputs: in, Read: show.read,
		Seen: past.NewSeen(), Work: func(then *checks.Record) any { return r.Decision(then) },
	}
	summary, err := c.judge(p, r, items(p.ctx, source, paths, errs), show.add)
	show.end()
	switch {
	case p.ctx.Err() != nil:
		return errors.New("interrupted")
	case !c.JSON:
		fmt.Fprint(p.stdout, summary.Text(r.DNS != nil))
	case summary.Missing() > 0:
		fmt.Fprintf(p.stderr, "helo-milter: %d items omitted: they could not be read or judged\n",
			summary.Missing())
		summary.Unread.Print(p.stderr)
	}
	return err
}

// judge adds every outcome to the summary, calls done for it, and prints the records for --json. The error joins those of files
// that could not be read, or only in part.
func (c *replayCmd) judge(
	p *program, r *replay.Replay, items iter.Seq2[past.Item, error], done func(),
) (*replay.Summary, error) {
	summary, unread := &replay.Summary{}, error(nil)
	out := bufio.NewWriter(p.stdout)
	for outcome := range r.All(p.ctx, items) {
		summary.Add(outcome)
		done()
		if broken := new(past.Broken); outcome.Err != nil && !errors.As(outcome.Err, &broken) {
			unread = errors.Join(unread, outcome.Err)
		} else if outcome.Err != nil && c.Verbose {
			fmt.Fprintf(p.stderr, "helo-milter: %v (form: %s)\n", broken, cmp.Or(broken.Form(), "none"))
		}
		if c.JSON {
			write(out, outcome)
		}
	}
	return summary, errors.Join(unread, out.Flush())
}

// write prints the records of an outcome, one a line, as in a decision log: both of a hop, and of a decision
// the new one.
func write(out io.Writer, o *replay.Outcome) {
	for _, record := range []*checks.Record{o.Then, o.Now} {
		if record != nil && (o.Hop || record == o.Now) {
			fmt.Fprintln(out, record)
		}
	}
}

// labelled are files by past.Label.
type labelled [3][]string

// paths returns the files of the command line, and what is wrong with its patterns.
func (c *replayCmd) paths() (paths labelled, errs []error) {
	for label, args := range [...][]string{past.Unlabelled: c.Files, past.Ham: c.Ham, past.Spam: c.Spam} {
		list, wrong := past.Paths(args)
		paths[label], errs = list, append(errs, wrong...)
	}
	return paths, errs
}

// items yields errors, and the items of all files.
func items(
	ctx context.Context, source *past.Source, paths labelled, errs []error,
) iter.Seq2[past.Item, error] {
	return func(yield func(past.Item, error) bool) {
		for _, err := range errs {
			if !yield(past.Item{}, err) {
				return
			}
		}
		for label, files := range paths {
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
