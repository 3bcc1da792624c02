package help

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"helo-milter/checks"
)

// How often the DNS is asked for senders who have changed something.
const (
	perTicket = 10 * time.Second // one ticket, once
	perSecond = 2                // all tickets
	atOnce    = 4
	maxTests  = 1000      // tickets whose result is kept
	maxAge    = time.Hour // of a result: an older one says nothing of now
	testTime  = 15 * time.Second
)

// Asking is what a test asks, and judges, with. It must not be modified once in use.
type Asking struct {
	Judge *checks.Judge
	DNS   *checks.DNS // past the cache
}

// judge judges a client by what the DNS says now, as if it had greeted with what it said last: since the refusal, or
// then.
func (a *Asking) judge(ctx context.Context, t *Ticket, since *checks.Record) *checks.Record {
	judge := *a.Judge
	judge.Exempt = &checks.Exemptions{} // who is exempt here wants to know what others see
	s := judge.Open(ctx, a.DNS, t.Client, judge.Site)
	defer s.Close()
	switch {
	case since != nil:
		for _, h := range since.Helos {
			s.Greet(h)
		}
	case t.Cut():
		s.Unheard()
	case !t.Silent():
		s.Greet(checks.ParseHelo(t.Helo))
	}
	s.Mail(time.Now())
	s.Rcpt("")
	return s.Decision().Record(false)
}

// tests are the tests of tickets: how often there may be one, and what the last of each found.
type tests struct {
	mu      sync.Mutex
	tickets *simplelru.LRU[string, *tested] // by token
	all     *rate.Limiter
	running int
}

// tested is a ticket that was tested, or wanted to be. The mutex of tests guards it.
type tested struct {
	limit *rate.Limiter
	busy  bool
	found *checks.Record
	at    time.Time // of found
}

func newTests() *tests {
	t := &tests{all: rate.NewLimiter(perSecond, atOnce)}
	t.tickets, _ = simplelru.NewLRU[string, *tested](maxTests, nil) // never fails: the size is positive
	return t
}

// of returns what is known of a token. The caller holds mu.
func (t *tests) of(token string) *tested {
	of, ok := t.tickets.Get(token)
	if !ok {
		of = &tested{limit: rate.NewLimiter(rate.Every(perTicket), 1)}
		t.tickets.Add(token, of)
	}
	return of
}

// state adds the tests of a token to a page.
func (t *tests) state(s *State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of, ok := t.tickets.Get(s.Token)
	if !ok {
		return
	}
	if s.Busy = of.busy; time.Since(of.at) <= maxAge {
		s.Test = of.found
	}
	if missing := 1 - of.limit.Tokens(); missing > 0 {
		s.Wait = time.Duration(missing * float64(perTicket))
	}
}

// begin reports whether there may be a test of a token now. Then end has to be called.
func (t *tests) begin(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.of(token)
	now := time.Now()
	if of.limit.TokensAt(now) < 1 {
		return false
	}
	if of.busy = t.running >= atOnce || !t.all.AllowN(now, 1); of.busy {
		return false
	}
	of.limit.AllowN(now, 1)
	t.running++
	return true
}

// end keeps what a test has found, which is nil where it failed.
func (t *tests) end(token string, found *checks.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if found != nil {
		of := t.of(token)
		of.found, of.at = found, time.Now()
	}
}
