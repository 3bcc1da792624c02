package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// listed are the entries of list_file that count: those that have not ended, and that the configuration has none for.
type listed struct {
	allow []checks.Allow
	deny  []checks.Deny
}

// Entry is an entry of the allow or deny list as a command shows it.
type Entry struct {
	listfile.Entry
	Own bool   // of the configuration file
	Not string // why it has no effect, or ""
}

// parseEntry reads an entry of the list as one of a configuration that says nothing else. The error is in the words of
// the configuration.
func parseEntry(e *listfile.Entry) (*Config, error) {
	if e.List != listfile.Allow && e.List != listfile.Deny {
		return nil, fmt.Errorf("%q is no list: allow or deny", e.List)
	}
	if _, err := e.Ends(); err != nil {
		return nil, fmt.Errorf("until: %w", err)
	}
	c := &Config{}
	if err := c.read("entry", []byte(e.TOML())); err != nil {
		_, text, _ := strings.Cut(err.Error(), ": ") // without the place
		return nil, errors.New(text)
	}
	return c, nil
}

// CheckEntry reports what is wrong with an entry of the list, in the words of the configuration, or nil.
func CheckEntry(e *listfile.Entry) error {
	_, err := parseEntry(e)
	return err
}

// WarnEntry returns what an entry probably should not be for.
func WarnEntry(e *listfile.Entry) (warnings []string) {
	c, err := parseEntry(e)
	if err != nil {
		return nil
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	c.warnAllow(warn)
	c.warnDeny(warn)
	return warnings
}

// Listed returns a copy of the configuration with the entries of another document of list_file. The copy is that of a
// moment: entries end.
func (c *Config) Listed(d *listfile.Document, now time.Time) *Config {
	copied := *c
	copied.List, copied.ListEnds = d, time.Time{}
	copied.listed = listed{}
	own := c.own()
	for i := range d.Entries {
		e := &d.Entries[i]
		if overridden(e, own) || e.Ended(now) {
			continue
		}
		one, err := parseEntry(e)
		if err != nil {
			continue // of another version
		}
		for _, a := range one.allow {
			a.Who = e.Who + ", " + e.Added.UTC().Format(time.DateOnly)
			copied.listed.allow = append(copied.listed.allow, a)
		}
		copied.listed.deny = append(copied.listed.deny, one.deny...)
		if ends, _ := e.Ends(); !ends.IsZero() && (copied.ListEnds.IsZero() || ends.Before(copied.ListEnds)) {
			copied.ListEnds = ends
		}
	}
	copied.build()
	return &copied
}

// Document returns what list_file had: an empty list without one.
func (c *Config) Document() *listfile.Document {
	if c.List == nil {
		return &listfile.Document{}
	}
	return c.List
}

// overridden reports whether the configuration has an entry for the same, which counts, also when it has ended.
func overridden(e *listfile.Entry, own []Entry) bool {
	return slices.ContainsFunc(own, func(o Entry) bool { return o.Same(e) })
}

// own are the entries of the configuration.
func (c *Config) own() (entries []Entry) {
	for _, a := range c.allow {
		e := listfile.Entry{List: listfile.Allow, Name: a.Name, Reason: a.Reason}
		if a.Network.IsValid() {
			e.Network = a.Network.String()
		}
		if a.Mended {
			e.Until = mended
		} else if !a.Until.IsZero() {
			e.Until = a.Until.Format(time.RFC3339)
		}
		entries = append(entries, Entry{Entry: e, Own: true})
	}
	for _, d := range c.deny {
		e := listfile.Entry{List: listfile.Deny, Helo: d.Helo.String(), PTR: d.PTR.String()}
		if d.Network.IsValid() {
			e.Network = d.Network.String()
		}
		entries = append(entries, Entry{Entry: e, Own: true})
	}
	return entries
}

// Entries returns all entries of a list: those of the configuration, and then those of list_file.
func (c *Config) Entries(name string, now time.Time) (entries []Entry) {
	own := c.own()
	for _, e := range own {
		if e.List == name {
			entries = append(entries, e)
		}
	}
	for _, e := range c.Document().Entries {
		if e.List != name {
			continue
		}
		entry := Entry{Entry: e}
		switch err := CheckEntry(&e); {
		case overridden(&e, own):
			entry.Not = "the configuration has an entry for the same"
		case err != nil:
			entry.Not = err.Error()
		}
		entries = append(entries, entry)
	}
	for i := range entries {
		if entries[i].Not == "" && entries[i].Ended(now) {
			entries[i].Not = "it has ended"
		}
	}
	return entries
}

// loadList reads list_file.
func (c *Config) loadList() (*Config, error) {
	if c.ListFile == "" {
		return c, nil
	}
	d, err := listfile.File(c.ListFile).Load()
	if err != nil {
		return nil, c.Placed(&KeyError{Key: "list_file", Err: fmt.Errorf("%w (correct it, or move it away: the daemon and the "+
			"commands allow and deny make a new one)", err)})
	}
	return c.Listed(d, time.Now()), nil
}

// listedComment says in a configuration that is printed what list_file adds to it.
func (c *Config) listedComment() string {
	if c.List == nil || len(c.List.Entries) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n# list_file, version %d, adds what `allow list` and `deny list` show:\n", c.List.Version)
	for i := range c.List.Entries {
		for line := range strings.Lines(c.List.Entries[i].TOML()) {
			b.WriteString("# " + line)
		}
	}
	return b.String()
}
