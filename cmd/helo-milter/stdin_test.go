package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Everything is read, whatever the sizes of the reads, and an error comes behind it.
func TestInterruptible(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 10_000)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)),
		"error beside data": iotest.DataErrReader(strings.NewReader(text)),
	} {
		got, err := io.ReadAll(iotest.OneByteReader(&interruptible{ctx: t.Context(), r: r}))
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

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
