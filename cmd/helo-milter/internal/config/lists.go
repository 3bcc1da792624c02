package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"helo-milter/checks"
)

// list is a list of tables: [[allow]] or [[deny]].
type list struct {
	name   string
	doc    string                           // for `config --default`
	keys   func(i int) []key                // the rows for the entry of that index
	size   func(*Config) int                // how many entries there are
	grow   func(*Config)                    // adds an entry that says nothing
	check  func(entry map[string]any) error // whether an entry has the keys that it needs
	single bool                             // an entry has one key
}

// lists are the lists of tables in the order in which they are printed.
var lists = []list{
	{
		name: "allow", doc: "clients that are not judged; where network and name are given, both must match",
		keys:  allowKeys,
		size:  func(c *Config) int { return len(c.allow) },
		grow:  func(c *Config) { c.allow = append(c.allow, checks.Allow{}) },
		check: hasClient,
	},
	{
		name: "deny", doc: "what helo-denied, helo-host-denied and ptr-denied fail for; one key per entry",
		keys:   denyKeys,
		size:   func(c *Config) int { return len(c.deny) },
		grow:   func(c *Config) { c.deny = append(c.deny, checks.Deny{}) },
		check:  hasOneKey,
		single: true,
	},
}

func allowKeys(i int) []key {
	return []key{
		{
			"allow.network", `"192.0.2.0/24"`, "CIDR or address",
			func(c *Config) any { return &c.allow[i].Network }, nil,
		},
		{
			"allow.name", `".partner.example.org"`, `confirmed PTR name; ".suffix" is every name under it`,
			func(c *Config) any { return (*domain)(&c.allow[i].Name) }, nil,
		},
		{
			"allow.until", "2027-03-31", `last day, a date with time and zone, or "mended"; default: never expires`,
			func(c *Config) any { return (*until)(&c.allow[i]) }, nil,
		},
		{
			"allow.reason", `"wrong HELO, they know"`, "a note for you",
			func(c *Config) any { return &c.allow[i].Reason }, nil,
		},
	}
}

func denyKeys(i int) []key {
	return []key{
		{
			"deny.helo", `"ylmf-pc"`,
			`name, ".suffix" or "/regular expression/"; also an MX or NS host of the HELO name`,
			func(c *Config) any { return &c.deny[i].Helo }, nil,
		},
		{
			"deny.ptr", `".dsl.example.org"`, "the same for PTR names, confirmed or not",
			func(c *Config) any { return &c.deny[i].PTR }, nil,
		},
		{
			"deny.network", `"198.51.100.0/24"`, "the client, or an address of its HELO name or of that name's MX or NS hosts",
			func(c *Config) any { return &c.deny[i].Network }, nil,
		},
	}
}

func hasClient(entry map[string]any) error {
	if entry["network"] == nil && entry["name"] == nil {
		return errors.New("needs a network or a name: without either it would allow everybody")
	}
	return nil
}

func hasOneKey(entry map[string]any) error {
	known := 0 // a key that is not has an error of its own
	for _, name := range []string{"helo", "ptr", "network"} {
		if _, ok := entry[name]; ok {
			known++
		}
	}
	if known > 1 || len(entry) == 0 {
		return errors.New("an entry needs exactly one of helo, ptr and network")
	}
	return nil
}

// readList sets what the entries of a list say.
func (c *Config) readList(l list, value any, fail failFunc) {
	for _, entry := range tables(l.name, value, fail) {
		l.grow(c)
		i := l.size(c) - 1
		for _, name := range slices.Sorted(maps.Keys(entry)) {
			path := l.name + "." + name
			if err := c.set(l.keys(i), path, entry[name]); err != nil {
				fail(path, i, err)
			}
		}
		if err := l.check(entry); err != nil {
			fail(l.name, i, err)
		}
	}
}

// tables returns the tables of a list, which may be written as [[name]] or as inline tables.
func tables(name string, value any, fail failFunc) (list []map[string]any) {
	switch v := value.(type) {
	case nil:
	case []map[string]any:
		return v
	case []any:
		for _, x := range v {
			var table map[string]any
			if err := store(&table, x, "table"); err != nil {
				fail(name, 0, err)
				continue
			}
			list = append(list, table)
		}
	default:
		fail(name, 0, fmt.Errorf("wrong type: want [[%s]], got %s", name, tomlType(value)))
	}
	return list
}
