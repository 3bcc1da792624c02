package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/agnivade/levenshtein"

	"helo-milter/checks"
	"helo-milter/dnscache"
	"helo-milter/milter"
)

// Config is what a configuration file says. The zero Config is not usable: take builtin or load.
type Config struct {
	Mode        checks.Mode
	Profile     checks.Profile
	Listen      []string
	SocketMode  fileMode
	SocketGroup string
	ReplyAt     milter.Stage
	Timeout     duration
	OnDNSError  onDNSError
	HelpURL     string
	DecisionLog string
	Header      struct {
		Add                   bool
		Name                  string
		AuthenticationResults bool
	}
	Site struct {
		Hostname  string
		Names     []string
		Addresses []netip.Addr
	}
	Exempt struct {
		Networks      []network
		Authenticated bool
	}
	Allow      []checks.Allow
	Deny       []checks.Deny
	Actions    []*checks.Action // by rule; nil is the profile's
	Scores     []*float64       // by rule; nil is the table's
	TempFailAt float64
	RejectAt   float64
	Lists      struct{ Domain []string }
	DNS        struct {
		Servers      []string
		CacheEntries int

		CaseRandomization dnscache.CaseRandomization
	}
	Limits struct {
		Connections, PerPeer int
		Peers                []netip.Prefix
		Idle, Shutdown       duration
	}
	HTTP struct{ Listen string }
}

// builtin returns the configuration that holds when there is no file: the defaults of the key table.
func builtin() *Config {
	c := &Config{
		Actions: make([]*checks.Action, len(checks.All)),
		Scores:  make([]*float64, len(checks.All)),
	}
	if err := c.read("built-in", []byte(defaults())); err != nil {
		panic(err) // the key table contradicts itself: no configuration of a user can do that
	}
	return c
}

// load reads a configuration file over the built-in defaults. Without a file it returns those. Every
// error of the file is reported, each with its place.
func load(file string) (*Config, error) {
	c := builtin()
	if file == "" {
		return c, nil
	}
	text, err := os.ReadFile(file)
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("%s: cannot be read: %w", file, pathErr.Err)
	} else if err != nil {
		return nil, err
	}
	return c, c.read(file, text)
}

// read sets what a TOML text says and leaves the rest as it is.
func (c *Config) read(file string, text []byte) error {
	doc := map[string]any{}
	meta, err := toml.Decode(string(text), &doc)
	if syntax := (toml.ParseError{}); errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d:%d: %s", file, syntax.Position.Line, syntax.Position.Col, syntax.Message)
	} else if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	unknownTable := "."
	fail := func(path string, entry int, err error) {
		line, col := locate(text, path, entry)
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s: %w", file, line, col, path, err))
	}
	for _, k := range meta.Keys() {
		if _, isList := entryKeys[k[0]]; isList {
			continue
		}
		path := strings.Join(k, ".")
		if err := c.set(path, lookup(doc, k)); err != nil && !strings.HasPrefix(path, unknownTable+".") {
			fail(path, 0, err)
			unknownTable = path // and its keys need no errors of their own
		}
	}
	c.readAllow(doc["allow"], fail)
	c.readDeny(doc["deny"], fail)
	for _, l := range c.Listen {
		if network, address, err := parseListen(l); err == nil && len(errs) == 0 {
			if err := c.openToStrangers(network, address); err != nil {
				fail("listen", 0, err)
			}
		}
	}
	return errors.Join(errs...)
}

// lookup returns the value at a path of tables.
func lookup(doc map[string]any, path toml.Key) any {
	var v any = doc
	for _, name := range path {
		table, _ := v.(map[string]any)
		v = table[name]
	}
	return v
}

// set decodes the value of one key.
func (c *Config) set(path string, value any) error {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == path })
	if i < 0 {
		if slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.name, path+".") }) {
			return store(new(map[string]any), value, "table")
		}
		return unknown(path)
	}
	if err := decode(keys[i].at(c), value); err != nil {
		return err
	}
	if keys[i].check != nil {
		return keys[i].check(c)
	}
	return nil
}

// unknown is the error for a key that does not exist, with the nearest that does.
func unknown(path string) error {
	what := "unknown key"
	if strings.HasPrefix(path, "rules.") || strings.HasPrefix(path, "scores.") {
		what = "unknown rule"
	}
	var known []string
	for _, k := range keys {
		table, _, _ := strings.Cut(k.name, ".")
		known = append(known, k.name, table)
	}
	for list, fields := range entryKeys {
		known = append(known, list)
		for _, f := range fields {
			known = append(known, list+"."+f)
		}
	}
	slices.Sort(known)
	nearest := slices.MinFunc(known, func(a, b string) int {
		return cmp.Compare(levenshtein.ComputeDistance(path, a), levenshtein.ComputeDistance(path, b))
	})
	if levenshtein.ComputeDistance(path, nearest) > max(3, len(path)/3) {
		return errors.New(what)
	}
	return fmt.Errorf("%s (nearest: %s)", what, nearest)
}

// policy is what the configuration says to the findings.
func (c *Config) policy() *checks.Policy {
	p := checks.NewPolicy(c.Profile)
	p.Mode, p.OnDNSError = c.Mode, checks.Action(c.OnDNSError)
	p.TempFailAt, p.RejectAt = c.TempFailAt, c.RejectAt
	for i := range checks.All {
		if c.Actions[i] != nil {
			p.Actions[i] = *c.Actions[i]
		}
		if c.Scores[i] != nil {
			p.Scores[i] = *c.Scores[i]
		}
	}
	return p
}

// exemptions are the clients that the configuration does not want judged.
func (c *Config) exemptions() *checks.Exemptions {
	e := &checks.Exemptions{Authenticated: c.Exempt.Authenticated}
	for _, n := range c.Exempt.Networks {
		if n.private {
			e.Private = true
		} else {
			e.Network(n.prefix)
		}
	}
	for _, a := range c.Allow {
		e.Allow(a)
	}
	return e
}

// deny is the deny list.
func (c *Config) deny() *checks.DenyList {
	d := &checks.DenyList{}
	for _, entry := range c.Deny {
		d.Add(entry)
	}
	return d
}

// resolver is one for a command that ends.
func (c *Config) resolver() (*dnscache.Resolver, error) {
	resolver, err := dnscache.New(dnscache.Config{
		Servers: c.DNS.Servers, Entries: c.DNS.CacheEntries, Timeout: time.Duration(c.Timeout),
		CaseRandomization: c.DNS.CaseRandomization,
	})
	if err != nil {
		return nil, exitError{exitConfig, fmt.Errorf("dns: %w", err)}
	}
	return resolver, nil
}

// dns says what is asked, and trouble hears of block lists that do not answer.
func (c *Config) dns(resolver checks.Resolver, trouble func(list, answer string)) *checks.DNS {
	return &checks.DNS{
		Resolver: resolver, Timeout: time.Duration(c.Timeout), Lists: canonical(c.Lists.Domain),
		Hosts: c.deny().Hosts(), Trouble: trouble,
	}
}

// judge is what the configuration makes of facts.
func (c *Config) judge() *checks.Judge {
	return &checks.Judge{
		Site: c.site(), Lists: canonical(c.Lists.Domain), Exempt: c.exemptions(), Deny: c.deny(),
		Policy: c.policy(), HelpURL: c.HelpURL,
	}
}

// site is who the configuration says we are.
func (c *Config) site() checks.Site {
	return checks.Site{
		Hostname: checks.Canonical(c.Site.Hostname), Names: canonical(c.Site.Names), Addresses: c.Site.Addresses,
	}
}

func canonical(names []string) []string {
	var list []string
	for _, name := range names {
		list = append(list, checks.Canonical(name))
	}
	return list
}
