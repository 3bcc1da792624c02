package past

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
)

// A copy of a record is recognized, and nothing else: not another transaction of its session, nor the other
// record that replay makes of the same message.
func TestSeen(t *testing.T) {
	seen := NewSeen()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i, change := range []func(*checks.Record){
		func(*checks.Record) {},
		func(r *checks.Record) { r.ID = "other" },
		func(r *checks.Record) { r.QueueID = "4bC1x3" },
		func(r *checks.Record) { r.MTA = "mx2.example.net" },
		func(r *checks.Record) { r.Client = netip.MustParseAddr("203.0.113.10") },
		func(r *checks.Record) { r.Time = at.Add(time.Millisecond) },
		func(r *checks.Record) { r.MailFrom = "b@example.org" },
		func(r *checks.Record) { r.RcptTo = []string{"b@example.net"} },
		func(r *checks.Record) { r.Millis = 2 },
		func(r *checks.Record) { r.Source = &checks.Source{Place: "mbox:1", DNS: "now"} },
		func(r *checks.Record) { r.Source = &checks.Source{Place: "mbox:1", DNS: "recorded"} },
	} {
		for n := range 2 {
			r := &checks.Record{ID: "id", Client: netip.MustParseAddr("203.0.113.9"), Time: at, MailFrom: "a@example.org"}
			change(r)
			if n == 1 {
				r.Time = at.In(time.FixedZone("", 3600)).Add(r.Time.Sub(at)) // written in another zone
			}
			if again := seen.Again(r); again != (n == 1) {
				t.Errorf("change %d, time %d: seen before is %t", i, n, again)
			}
		}
	}
}

// What is known is bounded: it is the last records, at least those of five large tables.
func TestSeenBounds(t *testing.T) {
	seen := NewSeen()
	seen.tables, seen.largest = []table{newTable(4)}, 16
	record := func(n int) *checks.Record { return &checks.Record{ID: fmt.Sprint(n)} }
	const known = 5 * 12
	for n := range 1000 {
		if seen.Again(record(n)) {
			t.Fatalf("%d is new", n)
		}
		if n >= known && !seen.Again(record(n-known)) {
			t.Fatalf("%d is forgotten after %d others", n-known, known)
		}
		slots := 0
		for _, table := range seen.tables {
			slots += len(table.slots)
		}
		if slots > maxTables*16 {
			t.Errorf("%d slots", slots)
		}
	}
}
