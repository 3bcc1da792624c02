// Package lookups counts what the DNS servers did, for a person to look at: by server, by hour and by zone. Only
// questions that went to the servers are counted, not what the cache had.
//
// Resolver callbacks go into Lookups, and Snapshot comes out, plain data. The memory is bounded: some 100 servers, 48
// hours, 100 periods and 2,000 zones of at most 255 bytes, together under 1 MB.
package lookups

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"helo-milter/dnscache"
)

// The bounds of what is kept, and of what is shown.
const (
	maxServers = 100
	maxHours   = 48
	maxPeriods = 100
	maxZones   = 2000
	topZones   = 25
	slow       = time.Second
)

// Lookups counts. Its methods are safe for concurrent use.
type Lookups struct {
	mu       sync.Mutex
	since    time.Time
	servers  map[string]*server
	results  map[string]int
	hours    []Hour
	degraded []Period
	zones    *simplelru.LRU[string, *Zone]
}

// New returns Lookups that count from now on.
func New() *Lookups {
	zones, _ := simplelru.NewLRU[string, *Zone](maxZones, nil) // never fails: the size is positive
	return &Lookups{since: time.Now(), servers: map[string]*server{}, results: map[string]int{}, zones: zones}
}

// bounds are the upper ends of the times that a server's answers are counted by.
var bounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, time.Second, 2 * time.Second,
	5 * time.Second, 10 * time.Second,
}

// server is a Server with how long its answers took.
type server struct {
	Server
	took [len(bounds) + 1]int
}

// OnTried is dnscache.Config.OnTried.
func (l *Lookups) OnTried(address string, try dnscache.Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.servers[address]
	if s == nil {
		if len(l.servers) == maxServers {
			return
		}
		s = &server{Server: Server{Server: address}}
		l.servers[address] = s
	}
	s.Tries++
	if failed(try.Result) {
		s.LastFailure, s.LastResult = time.Now(), try.Result
		return
	}
	s.Answered++
	i, _ := slices.BinarySearch(bounds[:], try.Took)
	s.took[i]++
}

// failed reports whether a result of dnscache.Asked is no answer.
func failed(result string) bool {
	return result != "found" && result != "nxdomain" && result != "nodata"
}

// atMost returns the time that a share of the answers took at most.
func (s *server) atMost(share float64) time.Duration {
	sum := 0
	for i, n := range s.took[:len(bounds)] {
		if sum += n; float64(sum) >= share*float64(s.Answered) {
			return bounds[i]
		}
	}
	return 2 * bounds[len(bounds)-1]
}

// OnAsked is dnscache.Config.OnAsked.
func (l *Lookups) OnAsked(a dnscache.Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results[a.Result]++
	hour, bad := l.hour(time.Now()), failed(a.Result)
	z, ok := l.zones.Get(a.Domain)
	if !ok {
		z = &Zone{Zone: a.Domain}
		l.zones.Add(a.Domain, z)
	}
	hour.Asked++
	z.Asked++
	z.Took += a.Took
	z.Slowest = max(z.Slowest, a.Took)
	if bad {
		hour.Failed++
		z.Failed++
	}
	if a.Took > slow {
		hour.Slow++
	}
}

// hour is that of a moment, for a caller that holds mu.
func (l *Lookups) hour(at time.Time) *Hour {
	at = at.UTC().Truncate(time.Hour)
	if n := len(l.hours); n == 0 || l.hours[n-1].Hour.Before(at) {
		l.hours = append(l.hours, Hour{Hour: at})
		l.hours = l.hours[max(0, len(l.hours)-maxHours):]
	}
	return &l.hours[len(l.hours)-1]
}

// OnDegraded is dnscache.Config.OnDegraded.
func (l *Lookups) OnDegraded(degraded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.degraded)
	open := n > 0 && l.degraded[n-1].To.IsZero()
	switch {
	case degraded && !open:
		l.degraded = append(l.degraded, Period{From: time.Now()})
		l.degraded = l.degraded[max(0, len(l.degraded)-maxPeriods):]
	case !degraded && open:
		l.degraded[n-1].To = time.Now()
	}
}
