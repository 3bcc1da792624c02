package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Who waits for standard input can be interrupted, by the commands, too.
func TestInterrupted(t *testing.T) {
	silent, hangUp := io.Pipe()
	defer hangUp.Close()
	pipe := filepath.Join(t.TempDir(), "pipe") // that nobody writes to
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { // who still waits for a writer
		writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = writer.Close()
	}()
	for _, args := range [][]string{
		{"replay", "--recorded-dns", "-"}, {"report", "-"}, {"replay", "--recorded-dns", pipe}, {"report", pipe},
	} {
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
