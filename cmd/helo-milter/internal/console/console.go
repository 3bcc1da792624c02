package console

import (
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/lookups"
	"helo-milter/cmd/helo-milter/internal/past"
)

// Settings are what a Console answers with. They must not be modified once in use.
type Settings struct {
	Config  *config.Config
	Token   string          // the password; "" is none
	Servers func() []string // of the DNS
	Lookups func() lookups.Snapshot
	Dropped func() uint64 // decisions that came too fast to be shown
	Fleet   Fleet         // nil: none, and what is shown is this host's
}

// Console shows what a daemon decides. Its methods are safe for concurrent use, but for Write.
type Console struct {
	OnPanic         func(value any, stack []byte) // is called for an internal error that was survived
	OnWrongPassword func(peer string)             // and for each wrong password

	handler  http.Handler
	pace     pace
	settings atomic.Pointer[Settings]
	began    time.Time
	decoder  past.Decoder // of Write
	recent   recent
	showing  sync.Mutex // of rows, in the order of their numbers
	remember sync.Once  // of what the decision log ends with
	streams  streams
	trials   *trials
	limits   limits

	mu     sync.Mutex
	closed bool
	shown  *growth // the evidence; nil before Use
	next   *growth // that takes its place when it has been read; or nil
	tail   *tail   // of the fleet, or nil
}

// New returns a console that shows nothing before Use. Its fields have to be set.
func New() *Console {
	c := &Console{began: time.Now(), trials: newTrials(), limits: newLimits(), pace: usualPace}
	c.handler = c.guard(c.routes())
	return c
}

// ServeHTTP answers below /console/.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Use puts settings in use. Where the configuration or the fleet is not the same as before, the evidence is judged again.
// It must not be called concurrently, or after Close.
func (c *Console) Use(s *Settings) {
	before := c.settings.Swap(s)
	moved := before == nil || before.Fleet != s.Fleet
	if moved {
		c.join(s.Fleet)
	}
	if moved || before.Config.String() != s.Config.String() {
		c.renew()
	}
}

// join shows what the hosts of another fleet decide, or of none.
func (c *Console) join(fleet Fleet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tail != nil {
		c.tail.stop()
		c.tail = nil
	}
	if c.shown != nil {
		c.shown.leave() // its server may be closed: these are the figures from before
	}
	if fleet != nil {
		c.tail = c.newTail(fleet)
	}
}

// closing is how long Close waits: what reads from a disk that hangs cannot be ended.
const closing = time.Second

// Close ends all that works in the background, and waits for it.
func (c *Console) Close() {
	ended := c.trials.close()
	c.mu.Lock()
	c.closed = true
	for _, g := range []*growth{c.shown, c.next} {
		if g != nil {
			g.stop()
			ended = append(ended, g.ended)
		}
	}
	if c.tail != nil {
		c.tail.stop()
		ended = append(ended, c.tail.ended)
	}
	c.mu.Unlock()
	late := time.After(closing)
	for _, end := range ended {
		select {
		case <-end:
		case <-late:
			return
		}
	}
}

// survive notes a panic: mail goes on, and a page lacks something.
func (c *Console) survive() {
	if p := recover(); p != nil {
		c.panicked(p)
	}
}

func (c *Console) panicked(value any) { c.OnPanic(value, debug.Stack()) }

// evidence returns what is shown.
func (c *Console) evidence() *growth {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}
