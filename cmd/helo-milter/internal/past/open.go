package past

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
)

// Open opens a file, or standard input for "-", unpacks what gzip has packed, whatever its name is, and
// passes over a byte order mark. count hears how many bytes of a file were read; it may be nil. The end of
// the context closes what is open, so that nobody waits for a pipe that is silent: reading is an error
// then.
func Open(ctx context.Context, name string, stdin io.Reader, count func(int)) (io.ReadCloser, error) {
	o := opened{}
	if name == "-" {
		in, out := io.Pipe()
		go pass(out, stdin)
		o.Reader, o.file = in, in
		o.stop = context.AfterFunc(ctx, func() { _ = out.CloseWithError(ctx.Err()) })
	} else {
		f, err := openFile(ctx, name)
		if err != nil {
			return nil, err
		}
		o.Reader, o.file = &counted{f, count}, f
		o.stop = context.AfterFunc(ctx, func() { _ = f.Close() })
	}
	r := bufio.NewReaderSize(o.Reader, 64<<10)
	if magic, _ := r.Peek(2); string(magic) == "\x1f\x8b" { // RFC 1952 §2.3.1
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			_ = o.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r = bufio.NewReaderSize(unpacked, 64<<10)
	}
	if mark, _ := r.Peek(3); string(mark) == "\ufeff" {
		_, _ = r.Discard(3) // they are in the buffer
	}
	o.Reader = r
	return o, nil
}

// openFile is os.Open that does not wait for a pipe's writer beyond the end of the context. Nothing else ends
// that waiting, so it may be left behind.
func openFile(ctx context.Context, name string) (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result, 1)
	go func() {
		file, err := os.Open(name)
		done <- result{file, err}
	}()
	select {
	case r := <-done:
		return r.file, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", name, ctx.Err())
	}
}

// pass reads standard input for somebody who may stop waiting for it. Closing the file would not do: that
// does not wake up who reads from a terminal, or from a pipe that a shell has made. It ends with the
// input, or when more of that comes than is wanted.
func pass(out *io.PipeWriter, stdin io.Reader) {
	_, err := io.Copy(out, stdin)
	_ = out.CloseWithError(err)
}

// opened reads from what stands on a file, and closes the file.
type opened struct {
	io.Reader
	file io.Closer
	stop func() bool // waiting for the end of the context
}

func (o opened) Close() error {
	o.stop()
	return o.file.Close()
}

// counted tells what is read.
type counted struct {
	io.Reader
	count func(int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.count != nil {
		c.count(n)
	}
	return n, err
}
