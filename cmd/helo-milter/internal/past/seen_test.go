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

// What is known is bounded: the last records, at least as many as one set has room for.
func TestSeenBounds(t *testing.T) {
	seen := NewSeen()
	seen.size = 4
	record := func(n int) *checks.Record { return &checks.Record{ID: fmt.Sprint(n)} }
	for n := range 100 {
		if seen.Again(record(n)) {
			t.Errorf("%d is new", n)
		}
		if n >= 4 && !seen.Again(record(n-4)) {
			t.Errorf("%d is known after 4 others", n-4)
		}
		if kept := len(seen.latest) + len(seen.before); kept > 8 {
			t.Errorf("%d are kept", kept)
		}
	}
}
