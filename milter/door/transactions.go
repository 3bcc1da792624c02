package door

import (
	"context"
	"sync"
)

// Transactions counts the mail transactions that are open: from MAIL to the end of the message, an abort, or the end
// of the session. Its methods are safe for concurrent use.
type Transactions struct {
	mu   sync.Mutex
	open int
	none chan struct{} // closed when open comes to 0; nil while nobody waits for it
}

func (t *Transactions) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
}

func (t *Transactions) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	if t.open == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
}

// Open returns how many transactions are open.
func (t *Transactions) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}

// Wait returns when no transaction is open, or with the context's error when that ends. The answer to the
// message that ended last may still be on its way to the MTA.
func (t *Transactions) Wait(ctx context.Context) error {
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
