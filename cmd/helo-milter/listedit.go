package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// user is who runs the command.
func user(said string) string {
	host, _ := os.Hostname()
	for _, name := range []string{said, os.Getenv("SUDO_USER"), os.Getenv("USER")} {
		switch {
		case name != "" && name == said:
			return name
		case name != "":
			return name + "@" + host
		}
	}
	return fmt.Sprintf("uid %d@%s", os.Getuid(), host)
}

// changer is where the list is: a file, or the fleet's server.
type changer interface {
	Change(ctx context.Context, change func(*listfile.Document) error) error
}

// changeTime is how long a change may take.
const changeTime = 10 * time.Second

// change changes the list.
func (p *program) change(cfg *config.Config, change func(*listfile.Document) error) error {
	var where changer = listfile.File(cfg.ListFile)
	switch {
	case len(cfg.Fleet.Redis) > 0:
		server, err := fleet.Connect(cfg)
		if err != nil {
			return exitError{exitConfig, cfg.Placed(err)}
		}
		defer server.Close()
		where = server.List()
	case cfg.ListFile == "":
		return exitError{exitConfig, errors.New("there is no list to edit: set list_file in the configuration " +
			"(list_file = \"/var/lib/helo-milter/list.json\"), or [fleet], and name it with --config")}
	}
	ctx, cancel := context.WithTimeout(p.ctx, changeTime)
	defer cancel()
	if err := where.Change(ctx, change); err != nil {
		return fmt.Errorf("the list was not changed: %w", err)
	}
	return nil
}

// effect says when a change counts.
func effect(cfg *config.Config) string {
	if len(cfg.Fleet.Redis) > 0 {
		return "every host of the fleet has it within 2 seconds"
	}
	return "the daemon has it within 2 seconds"
}

func (p *program) add(e *listfile.Entry, m meta) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	e.Reason, e.Who, e.Added = m.Reason, user(m.Who), time.Now().UTC().Truncate(time.Second)
	if err := config.CheckEntry(e); err != nil {
		return exitError{exitUsage, err}
	}
	if e.Ended(time.Now()) {
		return exitError{exitUsage, fmt.Errorf("until: %s is over", e.Until)}
	}
	for _, warning := range config.WarnEntry(e) {
		p.say("warning: " + clean.Terminal(warning))
	}
	for _, own := range cfg.Entries(e.List, time.Now()) {
		if own.Own && own.Same(e) {
			return fmt.Errorf("%s: the configuration has an entry for the same, which counts: change that one",
				clean.Terminal(e.Clients()))
		}
	}
	var old *listfile.Entry
	err = p.change(cfg, func(d *listfile.Document) error {
		if old = d.Find(e); old != nil {
			copied := *old
			old = &copied
		}
		return d.Put(*e)
	})
	if err != nil {
		return err
	}
	if old != nil {
		fmt.Fprintf(p.stdout, "replaced %s %s (by %s, %s)\n", e.List, clean.Terminal(e.Clients()),
			clean.Terminal(old.Who), old.Added.Format(time.DateOnly))
	}
	fmt.Fprintf(p.stdout, "%s %s: %s\n", e.List, clean.Terminal(e.Clients()), effect(cfg))
	return nil
}

func (p *program) remove(e *listfile.Entry, who string) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	err = p.change(cfg, func(d *listfile.Document) error {
		if d.Remove(e, user(who), time.Now().UTC().Truncate(time.Second)) == nil {
			return missing(cfg, e, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "removed %s %s: %s\n", e.List, clean.Terminal(e.Clients()), effect(cfg))
	return nil
}

// missing is the error for an entry that is not there, with what is.
func missing(cfg *config.Config, e *listfile.Entry, d *listfile.Document) error {
	for _, own := range cfg.Entries(e.List, time.Now()) {
		if own.Own && own.Same(e) {
			return fmt.Errorf("%s is an entry of the configuration: take it out there", clean.Terminal(e.Clients()))
		}
	}
	var like []string
	for _, there := range d.Entries {
		near := there.Network == e.Network && e.Network != "" || there.Name == e.Name && e.Name != ""
		if near && there.List == e.List {
			like = append(like, clean.Terminal(there.Clients()))
		}
	}
	if len(like) > 0 {
		return fmt.Errorf("no entry for %s; there is one for %s", clean.Terminal(e.Clients()), strings.Join(like, ", "))
	}
	return fmt.Errorf("no entry for %s: `helo-milter %s list` shows those that there are", clean.Terminal(e.Clients()), e.List)
}
