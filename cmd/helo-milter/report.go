package main

import (
	"errors"
	"fmt"
	"io"

	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/past"
)

type reportCmd struct {
	JSON    bool     `xor:"format" help:"Print the figures as JSON."`
	HTML    bool     `xor:"format" name:"html" help:"Print a self-contained HTML page with charts."`
	Verbose bool     `short:"v" help:"Show lines that could not be read."`
	Files   []string `arg:"" name:"file" help:"Decision logs, plain or gzip-compressed; - is standard input."`
}

// Run reports on decision logs. For mailboxes and MTA logs, replay --json makes them.
func (c *reportCmd) Run(p *program) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	tally, unread, files, broken := evidence.New(cfg.Judge, cfg.Actions), error(nil), 0, 0
	for _, name := range c.Files {
		n, err := c.read(p, tally, name)
		broken += n
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		if err != nil { // go on with the others
			files++
			unread = errors.Join(unread, err)
		}
	}
	report := tally.Report(broken, files)
	if err := c.print(p.stdout, report); err != nil {
		return err
	}
	if report.Judged() == 0 && unread == nil {
		return fmt.Errorf("no judged mail in these files; lines that are not decision records: %d "+
			"(replay --json makes decision records from mail and MTA logs)", broken)
	}
	return unread
}

// read adds the records of a file to the tally, and returns how many of its lines are broken.
func (c *reportCmd) read(p *program, tally *evidence.Tally, name string) (broken int, err error) {
	file, err := past.Open(p.ctx, name, p.stdin, nil)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	line := new(past.Broken)
	for record, err := range past.Decisions(name, file) {
		switch {
		case errors.As(err, &line):
			broken++
			if c.Verbose {
				fmt.Fprintln(p.stderr, "helo-milter:", line)
			}
		case err != nil:
			return broken, err
		case p.ctx.Err() != nil:
			return broken, p.ctx.Err()
		default:
			tally.Add(record)
		}
	}
	return broken, nil
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
