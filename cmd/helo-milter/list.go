package main

import (
	"errors"
	"net/netip"
	"strings"

	"helo-milter/checks"
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
			e.Name = checks.Canonical(client)
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
