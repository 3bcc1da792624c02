package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// allowCmd and denyCmd edit the list: in list_file, or that of the fleet.
type allowCmd struct {
	Add    allowAdd    `cmd:"" help:"Exempt a client: by network, by confirmed name, or by both, which must then match."`
	Remove allowRemove `cmd:"" help:"Take an entry out."`
	List   allowList   `cmd:"" default:"withargs" help:"Show the entries, those of the configuration first."`
}

type denyCmd struct {
	Add    denyAdd    `cmd:"" help:"Deny a HELO name, a PTR name or a network."`
	Remove denyRemove `cmd:"" help:"Take an entry out."`
	List   denyList   `cmd:"" default:"withargs" help:"Show the entries, those of the configuration first."`
}

// meta is what is noted of a change.
type meta struct {
	Reason string `help:"Why, for those who read the list." placeholder:"TEXT"`
	Who    string `help:"Who wants it; default: the user." placeholder:"NAME"`
}

type allowAdd struct {
	Until string `help:"Last day (2027-03-31), a time (RFC 3339), or \"mended\"; default: never." placeholder:"WHEN"`
	meta
	Client []string `arg:"" help:"Address, network, name or .suffix; or a network and a name."`
}

type allowRemove struct {
	Who    string   `help:"Who wants it; default: the user." placeholder:"NAME"`
	Client []string `arg:"" help:"As it was added."`
}

type denyAdd struct {
	Until string `help:"Last day (2027-03-31), or a time (RFC 3339); default: never." placeholder:"WHEN"`
	PTR   bool   `name:"ptr" help:"It is for PTR names, not for HELO names."`
	meta
	Pattern string `arg:"" help:"Name, .suffix or /regular expression/; or an address or a network."`
}

type denyRemove struct {
	PTR     bool   `name:"ptr" help:"It is for PTR names."`
	Who     string `help:"Who wants it; default: the user." placeholder:"NAME"`
	Pattern string `arg:"" help:"As it was added."`
}

type showList struct {
	JSON    bool `help:"Print the entries as JSON, one a line."`
	Changes bool `help:"Show who has changed what instead: the last 1,000 changes of both lists."`
}

type (
	allowList struct{ showList }
	denyList  struct{ showList }
)

// Run adds an entry of the allow list.
func (c *allowAdd) Run(p *program) error {
	e, err := allowEntry(c.Client)
	if err != nil {
		return err
	}
	e.Until = c.Until
	return p.add(e, c.meta)
}

// Run takes an entry out of the allow list.
func (c *allowRemove) Run(p *program) error {
	e, err := allowEntry(c.Client)
	if err != nil {
		return err
	}
	return p.remove(e, c.Who)
}

// Run adds an entry of the deny list.
func (c *denyAdd) Run(p *program) error {
	e := denyEntry(c.Pattern, c.PTR)
	if e.Until = c.Until; c.Until == "mended" {
		return exitError{exitUsage, errors.New("deny: until \"mended\" is for allow")}
	}
	return p.add(e, c.meta)
}

// Run takes an entry out of the deny list.
func (c *denyRemove) Run(p *program) error { return p.remove(denyEntry(c.Pattern, c.PTR), c.Who) }

// Run shows the allow list.
func (c *allowList) Run(p *program) error { return c.show(p, listfile.Allow) }

// Run shows the deny list.
func (c *denyList) Run(p *program) error { return c.show(p, listfile.Deny) }

// networkOf returns a network as the configuration prints it, if a text is one, or an address.
func networkOf(text string) (string, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()).String(), true
	}
	_, err := netip.ParsePrefix(text)
	return text, err == nil
}

func allowEntry(clients []string) (*listfile.Entry, error) {
	e := &listfile.Entry{List: listfile.Allow}
	for _, client := range clients {
		network, ok := networkOf(client)
		switch {
		case ok && e.Network == "":
			e.Network = network
		case !ok && e.Name == "":
			e.Name = strings.ToLower(strings.TrimSuffix(client, "."))
		default:
			return nil, exitError{exitUsage, errors.New("allow: an entry has one network and one name at most")}
		}
	}
	return e, nil
}

func denyEntry(pattern string, ptr bool) *listfile.Entry {
	e := &listfile.Entry{List: listfile.Deny}
	if !strings.HasPrefix(pattern, "/") {
		pattern = strings.ToLower(pattern)
	}
	network, ok := networkOf(pattern)
	switch {
	case ok && !ptr:
		e.Network = network
	case ptr:
		e.PTR = pattern
	default:
		e.Helo = pattern
	}
	return e
}

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
			return fmt.Errorf("%s: the configuration has an entry for the same, which counts: change that one", clean.Terminal(e.Clients()))
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
		fmt.Fprintf(p.stdout, "replaced %s %s (by %s, %s)\n", e.List, clean.Terminal(e.Clients()), clean.Terminal(old.Who), old.Added.Format(time.DateOnly))
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
		if there.List == e.List && (there.Network == e.Network && e.Network != "" || there.Name == e.Name && e.Name != "") {
			like = append(like, clean.Terminal(there.Clients()))
		}
	}
	if len(like) > 0 {
		return fmt.Errorf("no entry for %s; there is one for %s", clean.Terminal(e.Clients()), strings.Join(like, ", "))
	}
	return fmt.Errorf("no entry for %s: `helo-milter %s list` shows those that there are", clean.Terminal(e.Clients()), e.List)
}

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
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
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

func (p *program) sharedList(cfg *config.Config) (*listfile.Document, error) {
	server, err := fleet.Connect(cfg)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	return server.List().Load(p.ctx)
}

// printChanges prints who has changed what, the last change last.
func printChanges(p *program, cfg *config.Config, asJSON bool) error {
	if cfg.List == nil {
		return nil
	}
	for _, c := range slices.Clone(cfg.List.Changes) {
		if asJSON {
			line, _ := json.Marshal(c)
			fmt.Fprintln(p.stdout, clean.JSON(string(line)))
			continue
		}
		text := fmt.Sprintf("%s  %s  %s %s %s", c.Time.UTC().Format("2006-01-02 15:04:05 UTC"), c.Who, c.What, c.Entry.List, c.Entry.Clients())
		if c.Entry.Reason != "" {
			text += ": " + c.Entry.Reason
		}
		fmt.Fprintln(p.stdout, clean.Terminal(text))
	}
	return nil
}
