package console

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/past"
)

// readFleet reads what hosts share, and goes on with what comes until ctx ends. All of it counts, in whatever order it
// comes, so that the evidence is that of report over "fleet:".
func (c *Console) readFleet(ctx context.Context, g *growth) {
	from := g.began.Add(-keptTime)
	var decoder past.Decoder
	f := &follower{fleet: g.fleet, every: c.pace.evidence, share: growthShare}
	f.open = func(ctx context.Context, host string) (Stream, error) { return g.fleet.Open(ctx, host, from) }
	f.take = func(host string, text []byte) {
		defer c.survive()
		if text = bytes.TrimSpace(text); len(text) > 0 {
			g.shared(&decoder, host, text, from)
			g.progress(f.at, len(f.hosts))
		}
	}
	f.after = func(err error) {
		if err != nil {
			return // the tail says so
		}
		g.stands(len(f.hosts), f.lacks)
		g.finish()
		c.mu.Lock()
		old := c.shown == g && c.next == nil && g.old()
		c.mu.Unlock()
		if old {
			c.renew()
		}
	}
	f.follow(ctx)
}

// shared counts a line of a stream.
func (g *growth) shared(decoder *past.Decoder, host string, text []byte, from time.Time) {
	r, err := decoder.Record(text)
	if err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.broken++
		return
	}
	if r.Source != nil || r.Time.Before(from) {
		return
	}
	judged := g.tally.Judge(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes += int64(len(text))
	g.last = r.Time
	g.count(judged)
	if g.byHost[host] == nil {
		g.byHost[host] = &evidence.Host{Name: clean.Report(host)}
	}
	g.byHost[host].Count(judged)
}

// ofHosts is what each host has shared, by name; nil without a fleet.
func (g *growth) ofHosts() (list []evidence.Host) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(g.byHost)) {
		list = append(list, *g.byHost[name])
	}
	return list
}

// progress notes how far the first reading is, in hosts and the time of the last record of the one that is read.
func (g *growth) progress(at, hosts int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts = hosts
	if g.reading {
		done := max(0, min(keptTime, keptTime-g.began.Sub(g.last)))
		g.size, g.read = int64(hosts)*int64(keptTime/time.Second), int64(at)*int64(keptTime/time.Second)+int64(done/time.Second)
	}
}

// stands notes which hosts there are, and what is missing.
func (g *growth) stands(hosts int, lacks []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts, g.lacks = hosts, slices.Clone(lacks)
}

// leave ends the reading of a fleet.
func (g *growth) leave() {
	if g.fleet != nil {
		g.stop()
	}
}
