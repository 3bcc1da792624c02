package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"helo-milter/checks"
)

// failFunc notes an error in an entry of a list of tables.
type failFunc func(path string, entry int, err error)

// readAllow reads the entries of [[allow]].
func (c *Config) readAllow(value any, fail failFunc) {
	for i, entry := range entries("allow", value, fail) {
		var allow checks.Allow
		for _, name := range entryKeys["allow"] {
			v, ok := entry[name]
			if !ok {
				continue
			}
			if err := setAllow(&allow, name, v); err != nil {
				fail("allow."+name, i, err)
			}
		}
		if entry["network"] == nil && entry["name"] == nil {
			fail("allow", i, errors.New("has neither network nor name, and would allow everybody"))
		}
		c.Allow = append(c.Allow, allow)
	}
}

func setAllow(a *checks.Allow, name string, value any) error {
	if name == "until" {
		err := store(&a.Until, value, "date")
		if a.Until.Location().String() == "date-local" {
			a.Until = a.Until.AddDate(0, 0, 1) // a date is over when the day is
		}
		return err
	}
	var text string
	if err := store(&text, value, "string"); err != nil {
		return err
	}
	var err error
	switch name {
	case "network":
		a.Network, err = parsePrefix(text)
	case "name":
		a.Name, err = checks.Canonical(text), names([]string{text}, true)
	case "reason":
		a.Reason = text
	}
	return err
}

// readDeny reads the entries of [[deny]].
func (c *Config) readDeny(value any, fail failFunc) {
	for i, entry := range entries("deny", value, fail) {
		var deny checks.Deny
		given := 0
		for _, name := range entryKeys["deny"] {
			v, ok := entry[name]
			if !ok {
				continue
			}
			given++
			if err := setDeny(&deny, name, v); err != nil {
				fail("deny."+name, i, err)
			}
		}
		if given > 1 || len(entry) == 0 {
			fail("deny", i, errors.New("wants one of helo, ptr and network: one entry for each"))
		}
		c.Deny = append(c.Deny, deny)
	}
}

func setDeny(d *checks.Deny, name string, value any) error {
	var text string
	if err := store(&text, value, "string"); err != nil {
		return err
	}
	var err error
	switch name {
	case "helo":
		err = d.Helo.UnmarshalText([]byte(text))
	case "ptr":
		err = d.PTR.UnmarshalText([]byte(text))
	case "network":
		d.Network, err = parsePrefix(text)
	}
	return err
}

// entries returns the tables of a list, after a look at their keys.
func entries(list string, value any, fail failFunc) []map[string]any {
	var tables []map[string]any
	switch v := value.(type) {
	case nil:
	case []map[string]any:
		tables = v
	case []any: // inline tables
		for _, x := range v {
			var table map[string]any
			if err := store(&table, x, "table"); err != nil {
				fail(list, 0, err)
				continue
			}
			tables = append(tables, table)
		}
	default:
		fail(list, 0, fmt.Errorf("wrong type: want [[%s]], got %s", list, tomlType(value)))
	}
	for i, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !slices.Contains(entryKeys[list], name) {
				fail(list+"."+name, i, unknown(list+"."+name))
			}
		}
	}
	return tables
}
