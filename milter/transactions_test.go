package milter

import (
	"context"
	"errors"
	"testing"
	"time"

	"helo-milter/milter/door"
)

// A transaction is open from MAIL to its end, whatever ends it; a waiter returns once none is.
func TestTransactions(t *testing.T) {
	server, address := startServer(t, func(c *door.Config) { c.ReplyAt = door.AtMail }) // it is open when play returns
	a, b := connect(t, address, nil), connect(t, address, nil)
	defer a.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	waited := make(chan error)
	waits := func() { waited <- server.transactions.Wait(ctx) }
	for _, step := range []struct {
		story  string
		mta    *mta
		script string
		open   int
	}{
		{"nobody wrote", a, "C 203.0.113.1 | H mail.example.org", 0},
		{"a's first", a, "M", 1},
		{"and b's", b, "C 203.0.113.1 | H mail.example.org | M | R", 2},
		{"a's is through", a, "R | .", 1},
		{"its next one, begun twice", a, "M | A | M", 2},
		{"it is refused", a, "R b@mail.example.org", 2},
		{"and given up", a, "A | M | R | .", 1},
	} {
		step.mta.play(step.script)
		if got := server.Transactions(); got != step.open {
			t.Errorf("%s: %d transactions are open, want %d", step.story, got, step.open)
		}
	}
	go waits()
	go waits()
	over, end := context.WithCancel(ctx)
	end()
	if err := server.transactions.Wait(over); !errors.Is(err, context.Canceled) {
		t.Errorf("with one open, to wait in vain ends with %v", err)
	}
	b.Close() // hangs up
	for range 2 {
		if err := <-waited; err != nil {
			t.Errorf("to wait ends with %v", err)
		}
	}
	if err := server.transactions.Wait(over); err != nil || server.Transactions() != 0 {
		t.Errorf("%d transactions are left, %v", server.Transactions(), err)
	}
}
