package fleet

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/cmd/helo-milter/internal/listfile"
)

func putEntry(t *testing.T, l *List, clients string) *listfile.Document {
	t.Helper()
	var changed *listfile.Document
	err := l.Change(t.Context(), func(d *listfile.Document) error {
		changed = d
		return d.Put(listfile.Entry{List: listfile.Allow, Network: clients, Who: "op", Added: time.Now().UTC()})
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func update(t *testing.T, l *List, copied *listfile.Document) string {
	t.Helper()
	d, restored, err := l.Update(t.Context(), copied)
	switch {
	case err != nil:
		return Trouble(err)
	case restored:
		return "restored"
	case d != nil:
		return fmt.Sprintf("version %d", d.Version)
	default:
		return "the same"
	}
}

// A copy follows the server, and the server gets back from it what it has lost: the highest version counts.
func TestListUpdate(t *testing.T) {
	server := startRedis(t)
	s := server.connect("mx1")
	l, do := s.List(), func(args ...any) {
		t.Helper()
		if err := s.client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(story string, copied *listfile.Document, want string) {
		t.Helper()
		if got := update(t, l, copied); got != want {
			t.Errorf("%s: %s, want %s", story, got, want)
		}
	}
	none := &listfile.Document{}
	want("nothing anywhere", none, "the same")
	first := putEntry(t, l, "192.0.2.0/24")
	want("the first change", none, "version 1")
	want("known", first, "the same")
	second := putEntry(t, l, "198.51.100.0/24")
	want("the second", first, "version 2")
	do("FLUSHALL")
	want("flushed, and nothing known", none, "the same")
	want("flushed", second, "restored")
	want("and back", second, "the same")
	want("an older copy", first, "version 2")
	do("FLUSHALL")
	want("flushed, an older copy is first", first, "restored")
	want("then the newer", second, "restored")
	want("then the older once more", first, "version 2")
	other, err := listfile.Parse([]byte(`{"v":1,"fleet":"another","version":9}`))
	if err != nil {
		t.Fatal(err)
	}
	want("a copy of another fleet's", other, "version 2")
	do("HSET", l.key(), fieldDocument, `{"v":2}`, fieldHead, `{"fleet":"x"}`)
	if _, _, err := l.Update(t.Context(), second); err == nil || !strings.Contains(err.Error(), "version 2, and version 1 is known here") {
		t.Errorf("of another version: %v", err)
	}
	if err := l.Change(t.Context(), func(*listfile.Document) error { return nil }); err == nil {
		t.Error("a document of another version is changed")
	}
	do("SET", l.key(), "x")
	want("of another type", second, "wrong type")
}

// Commands on many hosts at once lose nothing.
func TestListChange(t *testing.T) {
	server := startRedis(t)
	var changing sync.WaitGroup
	for i := range 8 {
		l := server.connect(fmt.Sprintf("mx%d", i)).List()
		changing.Go(func() { putEntry(t, l, fmt.Sprintf("192.0.2.%d/32", i)) })
	}
	changing.Wait()
	l := server.connect("mx9").List()
	d, err := l.Load(t.Context())
	if err != nil || len(d.Entries) != 8 || d.Version != 8 {
		t.Errorf("%+v, %v", d, err)
	}
	no := errors.New("no")
	if err := l.Change(t.Context(), func(d *listfile.Document) error { d.Entries = nil; return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	if again, err := l.Load(t.Context()); err != nil || !again.Equal(d) {
		t.Errorf("%+v, %v", again, err)
	}
}
