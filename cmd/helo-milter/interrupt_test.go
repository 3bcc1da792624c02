package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// Who waits for standard input can be interrupted, by the commands, too.
func TestInterrupted(t *testing.T) {
	silent, hangUp := io.Pipe()
	defer hangUp.Close()
	for _, args := range [][]string{{"replay", "--recorded-dns", "-"}, {"report", "-"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var out, errs bytes.Buffer
		if code := run(ctx, args, silent, &out, &errs); code != exitBad || errs.Len() == 0 {
			t.Errorf("%v: exit %d, %s", args, code, &errs)
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%v ended by itself", args)
		}
	}
}
