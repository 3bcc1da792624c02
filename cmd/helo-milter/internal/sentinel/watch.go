package sentinel

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Every is how often a daemon looks: twice within any half an hour.
const Every = 15 * time.Minute

const (
	firstLook = time.Minute            // the first look comes within this time, or within the interval
	leastWait = 100 * time.Millisecond // between two looks, however long they take
)

// Watch looks at addresses until it is told to end. What it finds counts after two looks in a row; between them
// there may be some that found nothing out. Its methods are safe for concurrent use.
type Watch struct {
	// OnEdge is called when an address has become wrong, or right after it was wrong. It must not be nil.
	OnEdge func(Self)
	// OnPanic, if not nil, is called with a panic of a look, which finds nothing out then.
	OnPanic func(value any, stack []byte)

	every   time.Duration
	changed chan struct{} // there are new addresses

	mu       sync.Mutex
	observer *Observer
	clients  []netip.Addr
	known    map[netip.Addr]*Status
}

// Status is what a watch knows of an address.
type Status struct {
	State State
	// Looked is when a look last found something out; before the first time, when the watch began.
	Looked time.Time
	seen   State // another state than State that the last look found which found something out, or Unknown
}

// NewWatch returns a watch of no address yet, for looks at most that far apart.
func NewWatch(every time.Duration) *Watch {
	return &Watch{every: every, changed: make(chan struct{}, 1), known: map[netip.Addr]*Status{}}
}

// Configure watches these addresses by that observer from the next look on. What is known of an address stays.
func (w *Watch) Configure(o *Observer, clients []netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[netip.Addr]*Status{}
	added := false
	for _, client := range clients {
		known[client] = w.known[client]
		if known[client] == nil {
			known[client] = &Status{Looked: time.Now()}
			added = true
		}
	}
	w.observer, w.clients, w.known = o, slices.Clone(clients), known
	if added {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// Run looks until the context ends. The hosts of a fleet that start together do not look together.
func (w *Watch) Run(ctx context.Context) {
	timer := time.NewTimer(w.soon())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
			timer.Reset(w.soon())
		case <-timer.C:
			began := time.Now()
			w.round(ctx)
			next := w.every - rand.N(w.every/10+1) // never longer: two looks fit into two intervals
			timer.Reset(max(next-time.Since(began), leastWait))
		}
	}
}

// soon is a short random while.
func (w *Watch) soon() time.Duration { return time.Millisecond + rand.N(min(w.every, firstLook)) }

// round looks once at all addresses.
func (w *Watch) round(ctx context.Context) {
	w.mu.Lock()
	observer, clients := w.observer, w.clients
	w.mu.Unlock()
	if len(clients) == 0 {
		return
	}
	defer func() {
		if value := recover(); value != nil && w.OnPanic != nil {
			w.OnPanic(value, debug.Stack())
		}
	}()
	selves, _ := observer.Look(ctx, clients)
	if ctx.Err() != nil {
		return
	}
	for _, s := range selves {
		if w.saw(s) {
			w.OnEdge(s)
		}
	}
}

// saw takes in what a look found, and reports whether that is an edge. That an address is right from the start is none.
func (w *Watch) saw(s Self) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.known[s.Client]
	if k == nil || s.State == Unknown { // not watched any more, or nothing was found out
		return false
	}
	k.Looked = time.Now()
	switch {
	case s.State == k.State:
		k.seen = Unknown
	case k.State == Unknown && s.State == OK:
		k.State, k.seen = OK, Unknown
	case s.State == k.seen:
		k.State, k.seen = s.State, Unknown
		return true
	default:
		k.seen = s.State
	}
	return false
}

// Known returns what is known of each address that is watched.
func (w *Watch) Known() map[netip.Addr]Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[netip.Addr]Status{}
	for client, k := range w.known {
		known[client] = *k
	}
	return known
}
