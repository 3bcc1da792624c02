package past

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
)

// Open opens a file, or standard input for "-". It decompresses gzip, whatever the file's name, and skips a
// byte order mark. count, if not nil, is called with the number of bytes read from a file. When ctx ends, the
// file is closed and reading fails, so that a silent pipe does not block forever.
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
		_, _ = r.Discard(3) // cannot fail: Peek has buffered them
	}
	o.Reader = r
	return o, nil
}

// openFile is os.Open, but does not wait for the writer of a pipe after ctx has ended. os.Open itself cannot
// be interrupted, so its goroutine may be left behind.
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

// pass copies standard input to a pipe whose reader may stop waiting. Closing standard input would not do:
// that does not interrupt a read from a terminal or from a shell's pipe. It returns at the end of the input,
// or when input arrives after the pipe was closed.
func pass(out *io.PipeWriter, stdin io.Reader) {
	_, err := io.Copy(out, stdin)
	_ = out.CloseWithError(err)
}

// opened reads through the layers on top of a file, and closes the file.
type opened struct {
	io.Reader
	file io.Closer
	stop func() bool // stops waiting for the end of the context
}

func (o opened) Close() error {
	o.stop()
	return o.file.Close()
}

// counted calls count with the number of bytes read.
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
