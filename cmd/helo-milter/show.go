package main

import (
	"errors"
	"fmt"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/explain"
	"helo-milter/cmd/helo-milter/internal/past"
)

type showCmd struct {
	JSON  bool     `help:"Print the decision records instead."`
	ID    string   `arg:"" name:"id" help:"The id in the header, the log or the reply, or the MTA's queue id."`
	Files []string `arg:"" name:"file" help:"Decision logs or patterns of their names, plain or gzip-compressed; - is standard input."`
}

// Run explains each decision that has the id, from its record alone. A session may have several.
func (c *showCmd) Run(p *program) error {
	if said := c.ID; said != "" {
		if c.ID = explain.ID(said); c.ID == "" && len(c.Files) > 1 { // Id: abc, without quotes
			c.ID, c.Files = explain.ID(c.Files[0]), c.Files[1:]
		}
	}
	if c.ID == "" {
		return exitError{exitUsage, errors.New("show: the id is empty")}
	}
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	found := 0
	in, end, err := p.inputs(cfg, time.Time{}, p.say, &c.Files)
	if err != nil {
		return err
	}
	defer end()
	paths, errs := past.Paths(c.Files)
	for _, path := range paths {
		err := c.search(p, in, path, func(r *checks.Record) {
			if found++; c.JSON {
				fmt.Fprintln(p.stdout, r)
				return
			}
			if found > 1 {
				fmt.Fprintln(p.stdout)
			}
			explain.Decision(coloured(p.stdout), r, cfg.Header.Name)
		})
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || found > 0 {
		return err
	}
	return fmt.Errorf("no decision with the id %s in these files (a refused message has no queue id)",
		clean.Quoted(c.ID, explain.WholeHelo))
}

func (c *showCmd) search(p *program, in past.Inputs, path string, found func(*checks.Record)) error {
	file, err := in.Open(p.ctx, path, nil)
	if err != nil {
		return err
	}
	defer file.Close()
	for r, err := range past.Find(path, file, c.ID) {
		switch broken := new(past.Broken); {
		case errors.As(err, &broken):
			fmt.Fprintln(p.stderr, "helo-milter:", broken)
		case err != nil:
			return err
		default:
			found(r)
		}
	}
	return nil
}
