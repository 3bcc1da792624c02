// Package listfile is the allow and deny list that commands edit: on one host a file, which is also a host's last copy of
// what a fleet shares (package fleet).
//
//	allow, deny ─► Document.Put, Remove ─► File ─────────────────────────► config.Listed ─► checks.Judge
//	                                  └──► fleet.List ─► each host's File ──┘
//
// A Document says what was meant, in the words of the configuration; package config makes checks of it, with the checks of
// its own keys. To add a field to an entry: here, in Entry.TOML, and in the two commands.
package listfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The lists.
const (
	Allow = "allow"
	Deny  = "deny"
)

const (
	// version is that of the document's form.
	version = 1
	// maxEntries and maxChanges bound a document, and maxText each text of an entry, in bytes.
	maxEntries = 10_000
	maxChanges = 1000
	maxText    = 300
	// maxDocument bounds what is read, in bytes.
	maxDocument = 16 << 20
)

// Document is both lists, with their last changes.
type Document struct {
	V       int      `json:"v"`
	Fleet   string   `json:"fleet"`   // drawn at random by the first change: which list it is
	Version uint64   `json:"version"` // one more with each change
	Nonce   string   `json:"nonce"`   // drawn at random by each change, since two may make the same version
	Entries []Entry  `json:"entries"`
	Changes []Change `json:"changes"` // the last ones, oldest first
}

// Entry is what one [[allow]] or [[deny]] says, in its words, with who has added it.
type Entry struct {
	List    string    `json:"list"` // Allow or Deny
	Network string    `json:"network,omitempty"`
	Name    string    `json:"name,omitempty"` // of Allow
	Helo    string    `json:"helo,omitempty"` // of Deny
	PTR     string    `json:"ptr,omitempty"`  // of Deny
	Until   string    `json:"until,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Who     string    `json:"who"`
	Added   time.Time `json:"added"`
}

// Change is one that was made.
type Change struct {
	Time  time.Time `json:"time"`
	Who   string    `json:"who"`
	What  string    `json:"what"` // add, replace or remove
	Entry Entry     `json:"entry"`
}

// Clients says whom an entry is for, in the words of the configuration: its network, name or pattern.
func (e *Entry) Clients() string {
	switch {
	case e.Helo != "":
		return "helo " + e.Helo
	case e.PTR != "":
		return "ptr " + e.PTR
	default:
		return strings.TrimSpace(e.Network + " " + e.Name)
	}
}

// Same reports whether two entries of a list are for the same.
func (e *Entry) Same(o *Entry) bool {
	return e.List == o.List && strings.EqualFold(e.Clients(), o.Clients())
}

// Parse reads a document. Entries of lists that are not known stay.
func Parse(text []byte) (*Document, error) {
	d := &Document{}
	switch {
	case len(text) > maxDocument:
		return nil, fmt.Errorf("is longer than %d MiB", maxDocument>>20)
	case len(text) == 0:
		return nil, errors.New("is empty")
	}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, err
	}
	if d.V != version {
		return nil, fmt.Errorf("is of version %d, and version %d is known here", d.V, version)
	}
	if len(d.Entries) > maxEntries {
		return nil, fmt.Errorf("has %d entries: the limit is %d", len(d.Entries), maxEntries)
	}
	return d, nil
}

// Text is the document as Parse reads it: an entry a line.
func (d *Document) Text() []byte {
	head := *d
	head.V, head.Entries, head.Changes = version, nil, nil
	var b strings.Builder
	line := func(v any) string {
		text, _ := json.Marshal(v) // of strings and times: cannot fail
		return string(text)
	}
	start, _, _ := strings.Cut(line(head), `"entries"`)
	b.WriteString(start + "\n\"entries\":[")
	for i, e := range d.Entries {
		b.WriteString(separator(i) + line(e))
	}
	b.WriteString("],\n\"changes\":[")
	for i, c := range d.Changes {
		b.WriteString(separator(i) + line(c))
	}
	b.WriteString("]}\n")
	return []byte(b.String())
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

// Find returns the entry for the same as another, or nil.
func (d *Document) Find(e *Entry) *Entry {
	if i := slices.IndexFunc(d.Entries, func(o Entry) bool { return o.Same(e) }); i >= 0 {
		return &d.Entries[i]
	}
	return nil
}

// Put adds an entry, or replaces the one that is for the same. The entry must have its Who and Added.
func (d *Document) Put(e Entry) error {
	for _, text := range []string{e.Network, e.Name, e.Helo, e.PTR, e.Until, e.Reason, e.Who} {
		if len(text) > maxText {
			return fmt.Errorf("%.20q… has %d bytes: the limit is %d", text, len(text), maxText)
		}
	}
	what := "add"
	if there := d.Find(&e); there != nil {
		*there, what = e, "replace"
	} else if len(d.Entries) >= maxEntries {
		return fmt.Errorf("the list has %d entries, which is the limit", maxEntries)
	} else {
		d.Entries = append(d.Entries, e)
	}
	d.changed(Change{e.Added, e.Who, what, e})
	return nil
}

// Remove takes out the entry that is for the same, and returns it; nil if there is none.
func (d *Document) Remove(e *Entry, who string, now time.Time) *Entry {
	there := d.Find(e)
	if there == nil {
		return nil
	}
	gone := *there
	d.Entries = slices.DeleteFunc(d.Entries, func(o Entry) bool { return o.Same(e) })
	d.changed(Change{now, who, "remove", gone})
	return &gone
}

func (d *Document) changed(c Change) {
	d.Changes = append(d.Changes, c)
	d.Changes = d.Changes[max(0, len(d.Changes)-maxChanges):]
	d.Version++
	d.Nonce = random()
	if d.Fleet == "" {
		d.Fleet = random()
	}
}

// Newer reports whether a document has changes that another of the same list lacks.
func (d *Document) Newer(o *Document) bool { return d.Fleet == o.Fleet && d.Version > o.Version }

// Equal reports whether two documents are the same version of the same list.
func (d *Document) Equal(o *Document) bool {
	return d.Fleet == o.Fleet && d.Version == o.Version && d.Nonce == o.Nonce
}

// Since returns the changes of a document that came after another.
func (d *Document) Since(o *Document) []Change {
	n := len(d.Changes)
	if d.Fleet == o.Fleet && d.Version > o.Version && d.Version-o.Version < uint64(n) {
		n = int(d.Version - o.Version)
	}
	return d.Changes[len(d.Changes)-n:]
}

// TOML is an entry as the configuration has it.
func (e *Entry) TOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[%s]]\n", e.List)
	for _, key := range [...][2]string{{"network", e.Network}, {"name", e.Name}, {"helo", e.Helo}, {"ptr", e.PTR}} {
		if key[1] != "" {
			fmt.Fprintf(&b, "%s = %s\n", key[0], quoted(key[1]))
		}
	}
	if e.List != Allow {
		return b.String() // has no other keys there
	}
	switch {
	case e.Until == "mended":
		b.WriteString("until = \"mended\"\n")
	case e.Until != "":
		if _, err := e.Ends(); err == nil {
			fmt.Fprintf(&b, "until = %s\n", e.Until)
		} else {
			fmt.Fprintf(&b, "until = %s\n", quoted(e.Until)) // which is refused with its reason
		}
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, "reason = %s\n", quoted(e.Reason))
	}
	return b.String()
}

// Ends returns when an entry ends: the zero time if it does not, or when its clients are mended. A day is over at its end.
func (e *Entry) Ends() (time.Time, error) {
	if e.Until == "" || e.Until == "mended" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, e.Until, time.Local); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, e.Until)
	if err != nil {
		return at, fmt.Errorf("%q is neither a date, such as 2027-03-31, nor a time of RFC 3339", e.Until)
	}
	return at, nil
}

// Ended reports whether an entry has ended.
func (e *Entry) Ended(now time.Time) bool {
	ends, err := e.Ends()
	return err == nil && !ends.IsZero() && now.After(ends)
}

// quoted is a basic string of TOML.
func quoted(s string) string {
	text, _ := json.Marshal(strings.ToValidUTF8(s, "?")) // JSON's strings are TOML's, but for DEL
	return strings.ReplaceAll(string(text), "\x7f", `\u007f`)
}
