package console

import (
	"context"
	"sync"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/past"
	"helo-milter/cmd/helo-milter/internal/replay"
)

const (
	// maxClients bounds the memory of the evidence: about 20 MB.
	maxClients = 200_000
	// growthShare is the part of its time that the first reading works: one in so many.
	growthShare = 2
	// longSession is how long a session may be open that is decided at the end (Sendmail waits an hour for its client).
	longSession = 2 * time.Hour
	// reportAge is how long a report on evidence that grows is good.
	reportAge = 2 * time.Second
)

// growth is the evidence for a configuration: of the decision log as it was when it began, and of what has been decided
// since; or of what hosts share, then and since. Its methods are safe for concurrent use.
type growth struct {
	began time.Time
	fleet Fleet // nil: none
	stop  func()
	whole chan struct{} // closed when what was there has been read
	ended chan struct{} // closed when nothing is read any more

	mu      sync.Mutex
	tally   *evidence.Tally
	logged  bool  // in files or streams, which can be read again
	size    int64 // bytes to read
	read    int64
	bytes   int64     // of the streams' records
	last    time.Time // of the one that was read last
	hosts   int       // that share them
	byHost  map[string]*evidence.Host
	lacks   []string // of which something is missing, and what
	broken  int
	reading bool
	records int
	seen    *past.Seen       // of the records of the log that sessions open at the beginning may have made
	early   []*checks.Record // of these sessions, decided just before the log was read, or meanwhile
	changed bool             // since the report
	report  *evidence.Report
	at      time.Time // of the report
}

// newGrowth begins to read what is kept.
func (c *Console) newGrowth(s *Settings) *growth {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := s.Config
	g := &growth{
		fleet: s.Fleet, logged: s.Fleet != nil,
		began: time.Now().Truncate(time.Millisecond).Add(time.Millisecond), // records have no more: none is from later
		stop:  cancel, whole: make(chan struct{}), ended: make(chan struct{}),
		tally: evidence.New(cfg.Judge, cfg.Actions), reading: true, seen: past.NewSeen(), changed: true,
		byHost: map[string]*evidence.Host{},
	}
	g.tally.LimitClients(maxClients)
	lines, _ := c.recent.all()
	go func() {
		defer close(g.ended)
		defer g.finish()
		defer c.survive()
		if g.fleet != nil {
			c.readFleet(ctx, g)
			return
		}
		c.readLog(ctx, g, cfg.DecisionLog, lines)
	}()
	return g
}

// readLog reads the decision log as it is, or else the lines, which are the last ones.
func (c *Console) readLog(ctx context.Context, g *growth, log string, lines []line) {
	source := c.kept() // here, since the disk may be slow
	g.reads(source)
	if source.files != nil {
		c.remember.Do(func() { c.recent.before(endOf(log)) })
	}
	for _, r := range source.records(ctx, reading{
		from: g.began.Add(-keptTime), share: growthShare,
		read:   func(n int) { g.mu.Lock(); g.read += int64(n); g.mu.Unlock() },
		broken: func(error) { g.mu.Lock(); g.broken++; g.mu.Unlock() },
	}) {
		if r.Source == nil && r.Time.Before(g.began) {
			g.past(r)
		}
	}
	if source.files == nil {
		return
	}
	// The log may not have had the last ones, which the daemon writes to it and to us beside each other.
	last := &kept{lines: lines}
	for _, r := range last.records(ctx, reading{from: g.began.Add(-longSession)}) {
		g.add(r)
	}
}

// reads notes what is to be read.
func (g *growth) reads(source *kept) {
	size := source.size()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size, g.logged = size, source.files != nil
}

// past counts a record of the decision log.
func (g *growth) past(r *checks.Record) {
	judged := g.tally.Judge(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.began.Sub(r.Time) < longSession {
		g.seen.Again(r)
	}
	g.count(judged)
}

// add counts a record of now.
func (g *growth) add(r *checks.Record) {
	if g.fleet != nil {
		return // it comes by the stream of this host
	}
	judged := g.tally.Judge(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !r.Time.Before(g.began):
	case g.reading:
		g.early = append(g.early, r) // as many as there were sessions
		return
	case g.seen.Again(r):
		return
	}
	g.count(judged)
}

// count is for a caller that holds mu.
func (g *growth) count(judged *evidence.Judged) {
	g.tally.Count(judged)
	g.records++
	g.changed = true
}

// finish ends the reading of what was there. What it is called for again is nothing.
func (g *growth) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.reading {
		return
	}
	g.reading = false
	close(g.whole)
	for _, r := range g.early {
		if !g.seen.Again(r) {
			g.count(g.tally.Judge(r))
		}
	}
	g.early = nil
}

// standing is how far a growth is.
type standing struct {
	Reading bool
	Share   float64 // of what is to be read
	Records int
	Broken  int  // lines and files
	Logged  bool // in files or streams
	Fleet   bool // in streams
	Hosts   int
	Lacks   []string // of hosts, and what
	Bytes   int64    // of records in streams
}

func (g *growth) standing() standing {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := standing{
		Reading: g.reading, Share: 1, Records: g.records, Broken: g.broken, Logged: g.logged,
		Fleet: g.fleet != nil, Hosts: g.hosts, Lacks: g.lacks, Bytes: g.bytes,
	}
	if g.reading {
		s.Share = min(1, float64(g.read)/float64(max(g.size, 1)))
	}
	return s
}

// reported returns the report on what has grown so far. It must not be modified.
func (g *growth) reported() *evidence.Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.report == nil || g.changed && time.Since(g.at) > reportAge {
		g.report, g.changed = g.tally.Report(g.broken, 0), false
		g.at = time.Now() // what took long may be old for as long
	}
	return g.report
}

// looksGood reports of clients whether they look legitimate to the rule that each is named with.
func (g *growth) looksGood(list []*replay.Client) []bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	good := make([]bool, len(list))
	for i, one := range list {
		good[i] = g.tally.LooksGood(one.Addr, one.Rule)
	}
	return good
}

// grow counts a record in the evidence that is shown, and in the one that takes its place.
func (c *Console) grow(r *checks.Record) {
	c.mu.Lock()
	shown, next := c.shown, c.next
	old := next == nil && shown.fleet == nil && shown.old()
	c.mu.Unlock()
	shown.add(r)
	if next != nil {
		next.add(r)
	}
	if old {
		c.renew()
	}
}

// old reports whether it is time to read again.
func (g *growth) old() bool { return time.Since(g.began) > renewal && g.standing().Logged }

// renewal is after how long the decision log is read again, so that what is older than keptTime is left out.
const renewal = 24 * time.Hour

// renew begins to read what is kept again. What is shown stays until that has ended.
func (c *Console) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	g := c.newGrowth(c.settings.Load())
	if c.shown == nil {
		c.shown = g
		return
	}
	if c.next != nil {
		c.next.stop()
	}
	c.next = g
	go func() {
		<-g.whole
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.next == g {
			c.shown.stop()
			c.shown, c.next = g, nil
		}
	}()
}
