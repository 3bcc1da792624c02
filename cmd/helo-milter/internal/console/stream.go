package console

import (
	"bytes"
	"sync"

	"helo-milter/checks"
)

// decision is one that pages show. Its row is the same on all of them.
type decision struct {
	number uint64
	host   string // of the fleet
	record *checks.Record
	row    func() []byte
}

func (c *Console) newDecision(number uint64, host string, r *checks.Record) *decision {
	return &decision{number, host, r, sync.OnceValue(func() []byte {
		var b bytes.Buffer
		if err := templates().ExecuteTemplate(&b, "row", c.rowOf(host, r)); err != nil {
			panic(err) // a bug in the template: no data can cause it
		}
		return b.Bytes()
	})}
}

// streams are the pages that show decisions as they are made.
type streams struct {
	mu   sync.Mutex
	open map[*stream]bool
}

// stream is one of them.
type stream struct {
	wants   filter
	news    chan struct{}
	mu      sync.Mutex
	waiting []*decision
	more    int    // that were decided and are not shown
	last    uint64 // the number of the last decision that missed was about
}

// maxWaiting is how many rows a page gets at a time: nobody reads more.
const maxWaiting = 20

func (s *streams) enter(wants filter) *stream {
	one := &stream{wants: wants, news: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*stream]bool{}
	}
	s.open[one] = true
	return one
}

func (s *streams) leave(one *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, one)
}

// send gives a decision to all pages that want it.
func (s *streams) send(d *decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.open {
		if one.wants.match(d.host, d.record) {
			one.add(d)
		}
	}
}

// missed gives a page what it has missed: decisions, how many more before them, and the number of the last of all. Up to
// that nothing else is news: what was made since the page came waits already, or comes still.
func (s *stream) missed(list []*decision, more int, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting
	s.waiting, s.more = nil, more
	for _, d := range list {
		s.wait(d)
	}
	s.last = last
	for _, d := range waiting {
		s.wait(d)
	}
}

func (s *stream) add(d *decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(d)
}

// wait is for a caller that holds mu.
func (s *stream) wait(d *decision) {
	if d.number <= s.last {
		return
	}
	if len(s.waiting) == maxWaiting {
		s.waiting = append(s.waiting[:0], s.waiting[1:]...)
		s.more++
	}
	s.waiting = append(s.waiting, d)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take returns what waits, the oldest first, and how many before that are not shown.
func (s *stream) take() (list []*decision, more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, more = s.waiting, s.more
	s.waiting, s.more = nil, 0
	return list, more
}
