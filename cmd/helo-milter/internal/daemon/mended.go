package daemon

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/past"
)

// mended knows which allow entries until "mended" are not needed any more, from the decisions of this process, and from
// those of the decision log before it, which are read in the background. Its methods are safe for concurrent use.
type mended struct {
	log     *slog.Logger
	onPanic func(value any, stack []byte)

	mu    sync.Mutex
	text  string        // of the configuration that counts
	judge *checks.Judge // of it; nil where it has no such entry, and before the first
	known *checks.Probation
	told  map[string]time.Time // when an entry was logged, by its clients
	stop  func()               // ends the reading
	ended chan struct{}        // closed when the reading has ended; nil before the first
}

func newMended() *mended { return &mended{told: map[string]time.Time{}, stop: func() {}} }

// use counts for the entries of a configuration from now on. A configuration that is not the same as before may judge
// otherwise: then the decision log is read again, and what was counted is kept only where there is none.
func (m *mended) use(cfg *config.Config) {
	m.mu.Lock()
	if m.text == cfg.String() {
		m.mu.Unlock()
		return
	}
	known, files := checks.NewProbation(cfg.Judge), decisionLogs(cfg)
	if m.known != nil && len(files) == 0 {
		known.Join(m.known)
	}
	stop := m.stop
	m.text, m.judge, m.known, m.stop = cfg.String(), nil, known, func() {}
	if len(known.Conduct()) > 0 {
		m.judge = cfg.Judge
	}
	m.mu.Unlock()
	stop()
	if m.judge != nil && len(files) > 0 {
		m.begin(cfg.Judge, files, known)
	}
}

// decisionLogs are the files that earlier decisions are in.
func decisionLogs(cfg *config.Config) []string {
	if cfg.DecisionLog == "" || cfg.DecisionLog == "-" {
		return nil
	}
	return past.Rotated(cfg.DecisionLog)
}

// begin reads what files have, for the entries that known is about.
func (m *mended) begin(judge *checks.Judge, files []string, known *checks.Probation) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	m.mu.Lock()
	m.stop, m.ended = func() { cancel(); <-ended }, ended
	m.mu.Unlock()
	began := time.Now()
	go func() {
		defer close(ended)
		defer m.survive()
		earlier := read(ctx, judge, files, began)
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil {
			known.Join(earlier)
			m.report()
		}
	}()
}

// survive notes a panic: what was counted may lack a session then.
func (m *mended) survive() {
	if v := recover(); v != nil {
		m.onPanic(v, debug.Stack())
	}
}

// read counts the records of decision logs up to a moment, in this goroutine alone. What cannot be read is left out:
// the command report says why.
func read(ctx context.Context, judge *checks.Judge, files []string, until time.Time) *checks.Probation {
	known := checks.NewProbation(judge)
	kept := &past.Kept{Files: files, Share: readShare}
	for r := range kept.Records(ctx) {
		if r.Source == nil && r.Time.Before(until) {
			known.Count(judge.Try(r))
		}
	}
	return known
}

// readShare is the part of its time that the reading works: one in so many.
const readShare = 4

// decided counts a decision about a client on the allow list.
func (m *mended) decided(d *checks.Decision) {
	if d.Verdict.Exempt != checks.AllowList {
		return
	}
	defer m.survive()
	m.mu.Lock()
	judge := m.judge
	m.mu.Unlock()
	if judge == nil {
		return
	}
	trial := judge.Try(d.Record(false))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.judge == judge {
		m.known.Count(trial)
		m.report()
	}
}

// report logs entries that are not needed any more, once each, and again where a fault has come in between. The caller
// holds mu.
func (m *mended) report() {
	for _, c := range m.known.Conduct() {
		who, now := c.Clients(), time.Now()
		if at, told := m.told[who]; !c.Mended(now) || told && !c.Fault.After(at) {
			continue
		}
		m.told[who] = now
		m.log.Info("allow entry: not needed any more", "clients", who, "reason", clean.Log(c.Reason),
			"since", c.Since.UTC().Format(time.DateOnly), "sessions", c.Sessions)
	}
}

// gauge shows how many entries are not needed any more.
func (m *mended) gauge() prometheus.Collector {
	return gauge("allow_mended", "Allow entries until \"mended\" that are not needed any more.", m.count)
}

// count returns how many entries are not needed any more.
func (m *mended) count() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		return 0
	}
	for _, c := range m.known.Conduct() {
		if c.Mended(time.Now()) {
			n++
		}
	}
	return n
}

// close ends the reading.
func (m *mended) close() {
	m.mu.Lock()
	stop := m.stop
	m.stop = func() {}
	m.mu.Unlock()
	stop()
}
