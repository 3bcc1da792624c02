package main

import (
	"context"
	"io"
)

// interruptible is a reader that does not wait beyond the end of a context. The read that is under way then is
// left behind: nothing ends one of a terminal.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	left []byte
}

func (i *interruptible) Read(p []byte) (int, error) {
	if len(i.left) == 0 {
		type result struct {
			text []byte
			err  error
		}
		done := make(chan result, 1)
		go func() {
			text := make([]byte, max(len(p), 64<<10))
			n, err := i.r.Read(text)
			done <- result{text[:n], err}
		}()
		select {
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		case r := <-done:
			if i.left = r.text; len(r.text) == 0 {
				return 0, r.err
			}
		}
	}
	n := copy(p, i.left)
	i.left = i.left[n:]
	return n, nil
}
