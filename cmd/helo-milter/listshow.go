package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// show prints a list as this host has it: in a fleet, as the server has it, if that answers.
func (c *showList) show(p *program, name string) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if len(cfg.Fleet.Redis) > 0 {
		if d, err := p.sharedList(cfg); err == nil {
			cfg = cfg.Listed(d, time.Now())
		} else {
			p.say("the fleet's server does not answer, this is the last copy: " + clean.Terminal(err.Error()))
		}
	}
	if c.Changes {
		return printChanges(p, cfg, c.JSON)
	}
	entries := cfg.Entries(name, time.Now())
	if c.JSON {
		for _, e := range entries {
			line, _ := json.Marshal(e)
			fmt.Fprintln(p.stdout, clean.JSON(string(line)))
		}
		return nil
	}
	if len(entries) == 0 {
		fmt.Fprintf(p.stdout, "no entries: `helo-milter %s add` makes one\n", name)
		return nil
	}
	return printEntries(p.stdout, name, entries)
}

func (p *program) sharedList(cfg *config.Config) (*listfile.Document, error) {
	server, err := fleet.Connect(cfg)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	return server.List().Load(p.ctx)
}

// printEntries prints a table of entries.
func printEntries(out io.Writer, name string, entries []config.Entry) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, name+"\tuntil\twho\tadded\treason")
	for _, e := range entries {
		who, added := e.Who, e.Added.UTC().Format("2006-01-02 15:04")
		if e.Own {
			who, added = "configuration", "-"
		}
		reason := e.Reason
		if e.Not != "" {
			reason = strings.TrimSpace(reason + " [no effect: " + e.Not + "]")
		}
		cells := []string{e.Clients(), e.Until, who, added, reason}
		for i, cell := range cells {
			if cells[i] = clean.Terminal(strings.ReplaceAll(cell, "\t", " ")); cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// printChanges prints who has changed what, the last change last.
func printChanges(p *program, cfg *config.Config, asJSON bool) error {
	if cfg.List == nil {
		return nil
	}
	for _, c := range cfg.List.Changes {
		if asJSON {
			line, _ := json.Marshal(c)
			fmt.Fprintln(p.stdout, clean.JSON(string(line)))
			continue
		}
		text := fmt.Sprintf("%s  %s  %s %s %s", c.Time.UTC().Format("2006-01-02 15:04:05 UTC"), c.Who, c.What,
			c.Entry.List, c.Entry.Clients())
		if c.Entry.Reason != "" {
			text += ": " + c.Entry.Reason
		}
		fmt.Fprintln(p.stdout, clean.Terminal(text))
	}
	return nil
}
