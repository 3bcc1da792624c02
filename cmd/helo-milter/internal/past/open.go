package past

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// Inputs are what names on a command line can stand for beside files.
type Inputs struct {
	Stdin io.Reader // for "-"
	// Fleet opens the decisions that a host shares, for "fleet:" and its name.
	Fleet func(ctx context.Context, host string) (io.ReadCloser, error)
}

// FleetPrefix begins the names of what hosts share. Alone it stands for all hosts.
const FleetPrefix = "fleet:"

// isFile reports whether a name is that of a file.
func isFile(name string) bool { return name != "-" && !strings.HasPrefix(name, FleetPrefix) }

// Open opens a file, standard input for "-", or what a host shares. It decompresses gzip, whatever the file's name, and skips a
// byte order mark. count, if not nil, is called with the number of bytes read from a file. When ctx ends, the
// file is closed and reading fails, so that a silent pipe does not block forever.
func (i Inputs) Open(ctx context.Context, name string, count func(int)) (*Opened, error) {
	o := &Opened{Reader: bufio.NewReaderSize(nil, peeked)}
	if host, ok := strings.CutPrefix(name, FleetPrefix); ok {
		if i.Fleet == nil {
			return nil, fmt.Errorf("%s: there is no fleet here", name)
		}
		stream, err := i.Fleet(ctx, host)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return o.begin(name, stream, stream)
	}
	if name == "-" {
		in, out := io.Pipe()
		go pass(out, i.Stdin)
		o.stop = context.AfterFunc(ctx, func() { _ = out.CloseWithError(ctx.Err()) })
		return o.begin(name, in, in)
	}
	f, err := openFile(ctx, name)
	if err != nil {
		return nil, err
	}
	o.stop = context.AfterFunc(ctx, func() { _ = f.Close() })
	return o.begin(name, f, &counted{f, count})
}

// Opened reads through the layers on top of a file, and closes the file.
type Opened struct {
	*bufio.Reader
	file io.Closer
	stop func() bool // stops waiting for the end of the context; may be nil
}

// begin reads the beginning of a file through its reader, and closes it if that fails.
func (o *Opened) begin(name string, file io.Closer, raw io.Reader) (*Opened, error) {
	o.file = file
	o.Reset(raw)
	if magic, _ := o.Peek(2); string(magic) == "\x1f\x8b" { // RFC 1952 §2.3.1
		unpacked, err := gzip.NewReader(o.Reader)
		if err != nil {
			_ = o.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		o.Reader = bufio.NewReaderSize(unpacked, peeked)
	}
	if mark, _ := o.Peek(3); string(mark) == "\ufeff" {
		_, _ = o.Discard(3) // cannot fail: Peek has buffered them
	}
	return o, nil
}

func (o *Opened) Close() error {
	if o.stop != nil {
		o.stop()
	}
	return o.file.Close()
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
