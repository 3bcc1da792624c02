package console

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/past"
	"helo-milter/cmd/helo-milter/internal/replay"
)

const (
	maxTrials  = 8 // that are kept; one is running
	trialShare = 1 // of all time, one part in so many is worked: in one goroutine
	trialTime  = 10 * time.Minute
)

// trial is what another configuration would have decided, over what is kept.
type trial struct {
	ID      string
	Began   time.Time
	Changes string // in TOML, on top of the configuration in use; or a whole configuration
	Whole   bool   // it is that
	Days    int

	size   int64
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	state   trialState
	read    int64
	summary *replay.Summary // not modified after the end
	took    time.Duration
}

type trialState string

// The states of a trial.
const (
	trialRuns     trialState = "running"
	trialDone     trialState = "done"
	trialCanceled trialState = "canceled"
	trialFailed   trialState = "failed"
)

// trials are the last ones. Its methods are safe for concurrent use.
type trials struct {
	mu     sync.Mutex
	list   []*trial
	closed bool
}

func newTrials() *trials { return &trials{} }

// errBusy is the error of a trial while another one runs.
var errBusy = errors.New("another trial is running: cancel it, or wait for its end")

// try begins a trial.
func (c *Console) try(t *trial, cfg *config.Config) error {
	settings := c.settings.Load()
	judge := *cfg.Judge
	judge.Help.Link = settings.Config.Judge.Help.Link
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	kept := c.kept()
	t.ID, t.Began, t.size = rand.Text(), time.Now(), kept.size()
	t.cancel, t.ended, t.state = cancel, make(chan struct{}), trialRuns
	if err := c.trials.add(t); err != nil {
		cancel()
		return err
	}
	go func() {
		defer close(t.ended)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				c.panicked(p)
				t.end(trialFailed, nil)
			}
		}()
		t.run(ctx, &replay.Replay{Judge: &judge}, kept)
	}()
	return nil
}

// run replays what is kept.
func (t *trial) run(ctx context.Context, again *replay.Replay, kept *kept) {
	summary, seen := &replay.Summary{}, past.NewSeen()
	how := reading{
		from: t.Began.AddDate(0, 0, -t.Days), share: trialShare,
		read: func(n int) { t.mu.Lock(); t.read += int64(n); t.mu.Unlock() },
		broken: func(err error) {
			summary.Add(&replay.Outcome{Err: err})
		},
	}
	for _, r := range kept.records(ctx, how) {
		if r.Time.Before(t.Began) && !seen.Again(r) {
			summary.Add(again.Decision(r))
		}
	}
	if ctx.Err() != nil {
		t.end(trialCanceled, nil)
		return
	}
	t.end(trialDone, summary)
}

func (t *trial) end(state trialState, summary *replay.Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.summary, t.took = state, summary, time.Since(t.Began)
}

// standing returns how far a trial is. The summary is nil before the end.
func (t *trial) standing() (state trialState, share float64, summary *replay.Summary, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	took = t.took
	if t.state == trialRuns {
		took = time.Since(t.Began)
	}
	return t.state, min(1, float64(t.read)/float64(max(t.size, 1))), t.summary, took
}

func (l *trials) add(t *trial) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || slices.ContainsFunc(l.list, func(o *trial) bool { state, _, _, _ := o.standing(); return state == trialRuns }) {
		return errBusy
	}
	l.list = append(l.list, t)
	l.list = l.list[max(0, len(l.list)-maxTrials):]
	return nil
}

// get returns a trial, or nil.
func (l *trials) get(id string) *trial {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.list {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// all returns the trials, the latest first.
func (l *trials) all() []*trial {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.list)
	slices.Reverse(list)
	return list
}

// close ends the trials. What is returned is closed when they have ended.
func (l *trials) close() (ended []chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, t := range l.list {
		t.cancel()
		ended = append(ended, t.ended)
	}
	return ended
}
