package past

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
)

// Open opens a file, or standard input for "-", and unpacks what gzip has packed, whatever its name is. count
// hears how many bytes of a file were read; it may be nil.
func Open(name string, stdin io.Reader, count func(int)) (io.ReadCloser, error) {
	in, file := stdin, io.Closer(io.NopCloser(nil))
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		in, file = &counted{f, count}, f
	}
	r := bufio.NewReaderSize(in, 64<<10)
	if magic, _ := r.Peek(2); string(magic) != "\x1f\x8b" { // RFC 1952 §2.3.1
		return opened{r, file}, nil
	}
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return opened{unpacked, file}, nil
}

// opened reads from what stands on a file, and closes the file.
type opened struct {
	io.Reader
	io.Closer
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
