package lookups

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/dnscache"
)

func asked(domain, result string, took time.Duration) dnscache.Asked {
	return dnscache.Asked{Type: "A", Domain: domain, Result: result, Transport: "udp", Took: took}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := New(), time.Now()
		for i := range 20 {
			took := 3 * time.Millisecond
			if i == 0 {
				took = 300 * time.Millisecond
			}
			l.OnTried("192.0.2.53:53", asked("", "found", took))
			l.OnAsked(asked("example.org.", "found", took))
		}
		l.OnTried("192.0.2.54:53", asked("", "nxdomain", time.Minute))
		time.Sleep(2 * time.Hour)
		l.OnTried("192.0.2.53:53", asked("", "timeout", 5*time.Second))
		l.OnAsked(asked("example.net.", "timeout", 5*time.Second))
		l.OnDegraded(true)
		l.OnDegraded(true)
		time.Sleep(time.Minute)
		l.OnDegraded(false)
		l.OnDegraded(false)
		l.OnDegraded(true)
		failure := began.Add(2 * time.Hour)
		want := Snapshot{
			Since: began,
			Servers: []Server{
				{"192.0.2.53:53", 21, 20, 5 * time.Millisecond, 5 * time.Millisecond, failure, "timeout"},
				{"192.0.2.54:53", 1, 1, 20 * time.Second, 20 * time.Second, time.Time{}, ""},
			},
			Results:  []Count{{"found", 20}, {"timeout", 1}},
			Hours:    []Hour{{began, 20, 0, 0}, {failure, 1, 1, 1}},
			Degraded: []Period{{failure, failure.Add(time.Minute)}, {failure.Add(time.Minute), time.Time{}}},
			Zones: []Zone{
				{"example.net.", 1, 1, 5 * time.Second, 5 * time.Second},
				{"example.org.", 20, 0, 357 * time.Millisecond, 300 * time.Millisecond},
			},
		}
		got := l.Snapshot()
		for i := range got.Hours {
			got.Hours[i].Hour = got.Hours[i].Hour.In(began.Location())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// Whatever is asked for, the memory is bounded.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		for i := range 3000 {
			l.OnTried(fmt.Sprint(i), asked("", "found", 0))
			l.OnAsked(asked(fmt.Sprint(i, "."), "found", time.Duration(i)))
			l.OnDegraded(i%2 == 0)
			time.Sleep(time.Hour)
		}
		s := l.Snapshot()
		got := []int{len(s.Servers), len(s.Hours), len(s.Degraded), len(s.Zones), l.zones.Len()}
		if want := []int{maxServers, maxHours, maxPeriods, topZones, maxZones}; !reflect.DeepEqual(got, want) {
			t.Errorf("%d, want %d", got, want)
		}
	})
}

func BenchmarkOnAsked(b *testing.B) {
	l, a := New(), asked("example.org.", "found", time.Millisecond)
	for b.Loop() {
		l.OnAsked(a)
		l.OnTried("192.0.2.53:53", a)
	}
}
