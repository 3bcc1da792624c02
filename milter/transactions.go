package milter

import (
	"context"
	"sync"
)

// transactions counts those that are open: from MAIL to the end of the message, an abort, or the end of
// the session.
type transactions struct {
	mu   sync.Mutex
	open int
	none chan struct{} // closed when open comes to 0; nil while nobody waits for it
}

func (t *transactions) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
}

func (t *transactions) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	if t.open == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
}

// Transactions returns how many mail transactions are open.
func (s *Server) Transactions() int {
	s.transactions.mu.Lock()
	defer s.transactions.mu.Unlock()
	return s.transactions.open
}

// wait returns when no transaction is open, or with the context's error when that ends. The answer to the
// message that ended last may still be on its way to the MTA.
func (s *Server) wait(ctx context.Context) error {
	t := &s.transactions
	t.mu.Lock()
	if t.open == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.none == nil {
		t.none = make(chan struct{})
	}
	none := t.none
	t.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
