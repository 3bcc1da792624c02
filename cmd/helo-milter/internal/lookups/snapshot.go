package lookups

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Snapshot is what was counted so far. Names of zones are from the network, as they were asked for.
type Snapshot struct {
	Since    time.Time
	Servers  []Server // by address, as it was configured
	Results  []Count  // of questions, over all servers, the most first
	Hours    []Hour   // the last 48 with questions, the earliest first
	Degraded []Period // the last 100, the earliest first
	Zones    []Zone   // the 25 that cost most time, of the last 2,000 that were asked for
}

// Server is what a server did each time that it was asked.
type Server struct {
	Server      string
	Tries       int
	Answered    int           // found, or that there is nothing
	Median, P95 time.Duration // of the answers: at most that
	LastFailure time.Time     // zero is none
	LastResult  string        // of it
}

// Count is how many questions had a result.
type Count struct {
	Name  string
	Count int
}

// Hour is what was asked in an hour of UTC.
type Hour struct {
	Hour                time.Time
	Asked, Failed, Slow int // slow is over a second
}

// Period is one in which most questions failed.
type Period struct{ From, To time.Time } // To is zero while it lasts

// Zone is what was asked about a domain: see dnscache.Asked.Domain.
type Zone struct {
	Zone          string
	Asked, Failed int
	Took, Slowest time.Duration
}

// Snapshot returns what was counted so far.
func (l *Lookups) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Snapshot{Since: l.since, Hours: slices.Clone(l.hours), Degraded: slices.Clone(l.degraded)}
	for _, address := range slices.Sorted(maps.Keys(l.servers)) {
		one := l.servers[address]
		shown := one.Server
		if shown.Answered > 0 {
			shown.Median, shown.P95 = one.atMost(0.5), one.atMost(0.95)
		}
		s.Servers = append(s.Servers, shown)
	}
	for _, result := range slices.Sorted(maps.Keys(l.results)) {
		s.Results = append(s.Results, Count{result, l.results[result]})
	}
	slices.SortStableFunc(s.Results, func(a, b Count) int { return b.Count - a.Count })
	for _, z := range l.zones.Values() {
		s.Zones = append(s.Zones, *z)
	}
	slices.SortFunc(s.Zones, func(a, b Zone) int { return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(a.Zone, b.Zone)) })
	s.Zones = s.Zones[:min(len(s.Zones), topZones)]
	return s
}
