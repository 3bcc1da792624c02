package daemon

import (
	"context"
	"log/slog"
	"reflect"
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
	log *slog.Logger

	mu      sync.Mutex
	judge   *checks.Judge // nil before the first configuration
	entries []checks.Allow
	known   *checks.Probation
	told    map[string]bool // entries that were logged, by their clients
	stop    func()          // ends the reading
}

func newMended() *mended { return &mended{told: map[string]bool{}, stop: func() {}} }

// use counts for the entries of a configuration from now on. What the decision log has of them is read again where they
// have changed.
func (m *mended) use(cfg *config.Config) {
	known := checks.NewProbation(cfg.Judge)
	var entries []checks.Allow
	for _, c := range known.Conduct() {
		entries = append(entries, c.Allow)
	}
	m.mu.Lock()
	same := m.judge != nil && reflect.DeepEqual(entries, m.entries)
	m.judge = cfg.Judge
	if same {
		m.mu.Unlock()
		return
	}
	if m.known != nil && cfg.DecisionLog == "" {
		known.Join(m.known)
	}
	m.known, m.entries = known, entries
	stop := m.stop
	m.stop = func() {}
	m.mu.Unlock()
	stop()
	if len(entries) > 0 && cfg.DecisionLog != "" && cfg.DecisionLog != "-" {
		m.begin(cfg, known)
	}
}

// begin reads what the decision log has, for the entries that known is about.
func (m *mended) begin(cfg *config.Config, known *checks.Probation) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		earlier := m.read(ctx, cfg, began)
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil {
			known.Join(earlier)
			m.report()
		}
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stop = func() { cancel(); <-ended }
}

// readShare is how much of the time is spent on reading, beside mail: one part in so many.
const readShare = 4

// read counts the records of the decision log and of what was rotated away from it, up to a moment. What cannot be read
// is left out: the log of the command report says why.
func (m *mended) read(ctx context.Context, cfg *config.Config, until time.Time) *checks.Probation {
	known := checks.NewProbation(cfg.Judge)
	paths, _ := past.Paths([]string{cfg.DecisionLog + "*"})
	for _, path := range paths {
		file, err := past.Open(ctx, path, nil, nil)
		if err != nil {
			continue
		}
		lap, count := time.Now(), 0
		for trial, err := range past.Decisions(path, file, func(r *checks.Record) checks.Trial {
			if r.Time.After(until) {
				return checks.Trial{}
			}
			return cfg.Judge.Try(r)
		}) {
			if err == nil {
				known.Count(trial)
			}
			if count++; count%1000 == 0 && !rest(ctx, (readShare-1)*time.Since(lap)) {
				break
			}
			if count%1000 == 0 {
				lap = time.Now()
			}
		}
		_ = file.Close()
	}
	return known
}

// rest waits, and reports whether to go on.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// decided counts a decision about a client on the allow list.
func (m *mended) decided(d *checks.Decision) {
	if d.Verdict.Exempt != checks.AllowList {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.entries) == 0 {
		return
	}
	m.known.Count(m.judge.Try(d.Record(false)))
	m.report()
}

// report logs entries that are not needed any more, once each. The caller holds mu.
func (m *mended) report() {
	for _, c := range m.known.Conduct() {
		who := c.Clients()
		if !c.Mended(time.Now()) || m.told[who] {
			continue
		}
		m.told[who] = true
		m.log.Info("allow entry: not needed any more", "clients", who, "reason", clean.Log(c.Reason),
			"since", c.Since.UTC().Format(time.DateOnly), "sessions", c.Sessions)
	}
}

// gauge shows how many entries are not needed any more.
func (m *mended) gauge() prometheus.Collector {
	return gauge("allow_mended", "Allow entries until \"mended\" that are not needed any more.", m.count)
}

// count returns how many entries are not needed any more.
func (m *mended) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		return 0
	}
	n := 0
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
