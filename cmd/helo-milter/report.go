package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/past"
)

type reportCmd struct {
	Since   since    `help:"Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339)." placeholder:"WHEN"`
	JSON    bool     `xor:"format" help:"Print the figures as JSON."`
	HTML    bool     `xor:"format" name:"html" help:"Print a self-contained HTML page with charts."`
	Mail    mailbox  `xor:"format" help:"Mail this page and a letter about the last 7 days." placeholder:"ADDRESS"`
	Program string   `name:"sendmail" default:"/usr/sbin/sendmail" help:"The program that mails it; default: ${default}." placeholder:"FILE"`
	Verbose bool     `short:"v" help:"Show lines that could not be read."`
	Files   []string `arg:"" name:"file" help:"Decision logs or patterns of their names, plain or gzip-compressed; - is standard input."`
}

// Run reports on decision logs. For mailboxes and MTA logs, replay --json makes them.
func (c *reportCmd) Run(p *program) error {
	defer collect(100, 16<<20)()
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	now := time.Now()
	in, err := c.read(p, cfg, now)
	if err != nil {
		return err
	}
	report := in.tally.Report(in.broken, len(in.errs))
	report.Lost = in.lost
	if c.Mail != "" {
		return errors.Join(append(in.errs, c.mail(p, cfg, report, now))...)
	}
	if err := c.print(p.stdout, report); err != nil {
		return err
	}
	if report.Judged() == 0 && len(in.errs) == 0 {
		return in.nothing()
	}
	return errors.Join(in.errs...)
}

// decisions are what was read of decision logs.
type decisions struct {
	tally   *evidence.Tally
	from    time.Time // only records from then on are counted
	earlier int       // records before that
	broken  int       // lines
	lost    []string  // what is missing in the streams of hosts
	errs    []error   // one for each file or pattern that could not be read, or only in part
}

// read reads the files. What cannot be read is noted, and the others are read; the error is that of an
// interruption.
func (c *reportCmd) read(p *program, cfg *config.Config, now time.Time) (*decisions, error) {
	d := &decisions{tally: evidence.New(cfg.Judge, cfg.Actions), from: c.Since.from(now)}
	if c.Mail != "" {
		d.tally.Compare(now)
	}
	in, end, err := p.inputs(cfg, d.from, func(lost string) { d.lost = append(d.lost, lost) }, &c.Files)
	if err != nil {
		return nil, err
	}
	defer end()
	paths, errs := past.Paths(c.Files)
	d.errs = errs
	seen, show := past.NewSeen(), newProgress(p.stderr, paths)
	defer show.end()
	p.stderr = show
	for _, path := range paths {
		err := d.file(p, in, path, seen, show, c.Verbose)
		if p.ctx.Err() != nil {
			return nil, p.ctx.Err()
		}
		if err != nil {
			d.errs = append(d.errs, err)
		}
	}
	return d, nil
}

// file adds the records of a file.
func (d *decisions) file(p *program, in past.Inputs, name string, seen *past.Seen, show *progress, verbose bool) error {
	file, err := in.Open(p.ctx, name, show.read)
	if err != nil {
		return err
	}
	defer file.Close()
	line := new(past.Broken)
	judge := func(r *checks.Record) *evidence.Judged {
		if r.Time.Before(d.from) {
			return &evidence.Judged{Record: r}
		}
		return d.tally.Judge(r)
	}
	for judged, err := range past.Decisions(name, file, judge) {
		show.add()
		switch {
		case errors.As(err, &line):
			d.broken++
			if verbose {
				fmt.Fprintln(p.stderr, "helo-milter:", line)
			}
		case err != nil:
			return err
		case p.ctx.Err() != nil:
			return p.ctx.Err()
		case judged.Time.Before(d.from):
			d.earlier++
		case !seen.Again(judged.Record):
			d.tally.Count(judged)
		}
	}
	return nil
}

// nothing is the error of files without judged mail.
func (d *decisions) nothing() error {
	period := ""
	if d.earlier > 0 {
		from := d.from.UTC().Format("2006-01-02 15:04 UTC")
		period = fmt.Sprintf(" since %s; records before: %d", from, d.earlier)
	}
	return fmt.Errorf("no judged mail in these files%s; lines that are not decision records: %d "+
		"(replay --json makes decision records from mail and MTA logs)", period, d.broken)
}

func (c *reportCmd) print(out io.Writer, report *evidence.Report) (err error) {
	text := report.Text
	switch {
	case c.JSON:
		text = report.JSON
	case c.HTML:
		text = report.HTML
	}
	_, err = io.WriteString(out, text())
	return err
}

// mail sends the letter about a week. Entries of the allow list are in two letters before they end.
func (c *reportCmd) mail(p *program, cfg *config.Config, report *evidence.Report, now time.Time) error {
	host, _ := os.Hostname() // without a name, the message can be sent all the same
	letter := &evidence.Letter{Host: host, Now: now, Allow: cfg.Ending(now.Add(14 * day))}
	m := &message{to: c.Mail, host: host, date: now, page: report.HTML()}
	m.subject, m.text = letter.Write(report)
	return sendmail{c.Program, 2 * time.Minute}.send(p.ctx, m)
}
