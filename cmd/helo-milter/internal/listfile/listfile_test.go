package listfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func entry(clients string) Entry {
	return Entry{List: Allow, Network: clients, Who: "op@mx1", Added: day}
}

// What was put is there, once, also after it was written and read; each change is noted.
func TestDocument(t *testing.T) {
	d := &Document{}
	for _, network := range []string{"192.0.2.0/24", "198.51.100.0/24", "192.0.2.0/24"} {
		if err := d.Put(entry(network)); err != nil {
			t.Fatal(err)
		}
	}
	hostile := entry("203.0.113.0/24")
	hostile.Reason = "\"\n]}\u202e"
	if err := d.Put(hostile); err != nil {
		t.Fatal(err)
	}
	e := entry("198.51.100.0/24")
	if gone := d.Remove(&e, "other", day); gone == nil || gone.Network != e.Network {
		t.Errorf("removed %v", gone)
	}
	if gone := d.Remove(&e, "other", day); gone != nil {
		t.Errorf("removed %v again", gone)
	}
	again, err := Parse(d.Text())
	if err != nil {
		t.Fatalf("%v:\n%s", err, d.Text())
	}
	if string(again.Text()) != string(d.Text()) || !again.Equal(d) || len(again.Entries) != 2 {
		t.Errorf("got\n%s\nwant\n%s", again.Text(), d.Text())
	}
	var changes []string
	for _, c := range again.Changes {
		changes = append(changes, c.What+" "+c.Entry.Network+" "+c.Who)
	}
	if want := []string{
		"add 192.0.2.0/24 op@mx1", "add 198.51.100.0/24 op@mx1", "replace 192.0.2.0/24 op@mx1", "add 203.0.113.0/24 op@mx1",
		"remove 198.51.100.0/24 other",
	}; !slices.Equal(changes, want) {
		t.Errorf("changes: %q", changes)
	}
	if d.Version != 5 || len(d.Since(&Document{Fleet: d.Fleet, Version: 3})) != 2 || len(d.Since(&Document{})) != 5 {
		t.Errorf("version %d", d.Version)
	}
}

func TestDocumentIsBounded(t *testing.T) {
	d := &Document{}
	long := entry("192.0.2.0/24")
	long.Reason = strings.Repeat("x", maxText+1)
	if err := d.Put(long); err == nil {
		t.Error("a long reason is taken")
	}
	for i := range maxEntries {
		d.Entries = append(d.Entries, Entry{List: Allow, Name: fmt.Sprintf("host%d.example.org", i)})
	}
	if err := d.Put(entry("192.0.2.0/24")); err == nil {
		t.Error("one too many is taken")
	}
	d.Entries = d.Entries[:10]
	for range 2 * maxChanges {
		if err := d.Put(entry("192.0.2.0/24")); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.Changes) != maxChanges {
		t.Errorf("%d changes are kept", len(d.Changes))
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "is empty",
		"{":                                 "unexpected end",
		`{"v":2}`:                           "version 2, and version 1 is known",
		`{"v":1,"entries":7}`:               "cannot unmarshal",
		`{"v":1,"version":-1}`:              "cannot unmarshal",
		strings.Repeat(" ", maxDocument+1):  "longer than",
		`{"v":1,"entries":[{"list":"new"}]`: "unexpected end",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	d := &Document{}
	_ = d.Put(entry("192.0.2.0/24"))
	f.Add(d.Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(d.Text())
		if err != nil || !again.Equal(d) || len(again.Entries) != len(d.Entries) {
			t.Errorf("%v\n%s", err, d.Text())
		}
		for i := range d.Entries {
			_ = d.Entries[i].TOML()
			_ = d.Entries[i].Ended(day)
		}
	})
}

// Commands at the same time lose nothing; a mistake changes nothing; mode and broken files stay as they are.
func TestFile(t *testing.T) {
	file := File(filepath.Join(t.TempDir(), "list.json"))
	var changing sync.WaitGroup
	for i := range 20 {
		changing.Go(func() {
			err := file.Change(t.Context(), func(d *Document) error { return d.Put(entry(fmt.Sprintf("192.0.2.%d/32", i))) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	changing.Wait()
	d, err := file.Load()
	if err != nil || len(d.Entries) != 20 || d.Version != 20 {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := os.Chmod(string(file), 0o640); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	err = file.Change(t.Context(), func(d *Document) error { d.Entries = nil; return no })
	if again, _ := file.Load(); !errors.Is(err, no) || !again.Equal(d) {
		t.Errorf("%v, %+v", err, again)
	}
	if err := file.Change(t.Context(), func(d *Document) error { return d.Put(entry("198.51.100.0/24")) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(string(file)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(string(file), []byte("{"), 0o640); err != nil {
		t.Fatal(err)
	}
	err = file.Change(t.Context(), func(d *Document) error { return d.Put(entry("203.0.113.0/24")) })
	if text, _ := os.ReadFile(string(file)); err == nil || string(text) != "{" {
		t.Errorf("a broken file becomes %q: %v", text, err)
	}
	others, err := filepath.Glob(filepath.Join(filepath.Dir(string(file)), ".list-*"))
	if err != nil || len(others) > 0 {
		t.Errorf("left: %q", others)
	}
}

func TestEnds(t *testing.T) {
	for until, want := range map[string]string{
		"":                     "never",
		"mended":               "never",
		"2026-11-28":           "ended",
		"2027-11-30":           "later",
		"2026-11-29T11:59:59Z": "ended",
		"2026-11-29T12:00:01Z": "later",
		"soon":                 "error",
	} {
		e := Entry{Until: until}
		ends, err := e.Ends()
		got := "later"
		switch {
		case err != nil:
			got = "error"
		case ends.IsZero():
			got = "never"
		case e.Ended(day):
			got = "ended"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", until, got, want)
		}
	}
}
