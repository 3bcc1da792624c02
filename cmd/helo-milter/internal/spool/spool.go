// Package spool writes lines to a file without ever blocking the caller: a full disk, or a pipe without a
// reader, costs lines but does not delay mail.
//
//	Write ─► waiting, at most 4 MiB ─► batch ─► file, from one goroutine
//	            │ no room: dropped and counted      ▲ Use: another file, after logrotate
//
// A failed write is reported and retried every second, and continues where it stopped, so that lines stay
// whole.
package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// limit is the maximum of bytes that wait; as many again may be in the batch that is being written.
	limit = 4 << 20
	// maxBuffer is the size from which the buffer of a line is not used again.
	maxBuffer = 16 << 10
	// retry is the pause after a failed write.
	retry = time.Second
	// parting is how long Use waits for lines from before it to be written to the old file.
	parting = 100 * time.Millisecond
)

// Spool takes lines and writes them from a goroutine of its own, whole and in order. Lines for which there is
// no room are dropped and counted. Its methods may be called concurrently, except Use and Close.
type Spool struct {
	onError func(error)
	lines   chan struct{} // signals waiting lines
	news    chan struct{} // signals another file, or Close
	done    chan struct{} // closed when the goroutine has ended
	buffers Buffers

	mu       sync.Mutex
	file     io.Writer
	changed  bool // file is another one since the last take
	waiting  []byte
	accepted uint64        // bytes of all lines so far
	written  uint64        // of these, the bytes of completed batches
	leaving  uint64        // bytes to be written before the file is changed
	left     chan struct{} // closed when they are; nil unless part waits
	dropped  uint64
	closed   bool
}

// New returns a spool that writes to a file. onError, if not nil, is called from the spool's goroutine with
// each write error; the write is retried every second. With a nil file, lines wait for Use. Close must be
// called.
func New(file io.Writer, onError func(error)) *Spool {
	s := &Spool{
		onError: onError, file: file,
		lines: make(chan struct{}, 1), news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// Write takes whole lines, each with its newline. It never blocks and never fails.
func (s *Spool) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.waiting)+len(lines) > limit {
		s.dropped += count(lines)
	} else {
		s.waiting = append(s.waiting, lines...)
		s.accepted += uint64(len(lines))
		signal(s.lines)
	}
	return len(lines), nil
}

// Append takes the lines that line appends to a buffer, as Write does. The buffer is used again: line must not
// keep it.
func (s *Spool) Append(line func([]byte) []byte) {
	s.buffers.Use(func(b []byte) []byte {
		b = line(b)
		_, _ = s.Write(b)
		return b
	})
}

// Buffers are used again for line after line. They may be used concurrently.
type Buffers struct{ pool sync.Pool } // of *[]byte

// Use calls fill with an empty buffer, and takes back what it returns: fill must not keep it.
func (p *Buffers) Use(fill func([]byte) []byte) {
	b, _ := p.pool.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	if *b = fill((*b)[:0]); cap(*b) <= maxBuffer {
		p.pool.Put(b)
	}
}

// Use makes lines go to another file from now on, and closes the old one if it is an io.Closer. Lines that
// the old file does not take within 100 ms go to the new one; a line that is written in part goes there as a
// whole. It must not be called concurrently.
func (s *Spool) Use(file io.Writer) {
	s.part()
	s.mu.Lock()
	old := s.file
	s.file, s.changed = file, true
	s.mu.Unlock()
	signal(s.news)
	if closer, ok := old.(io.Closer); ok {
		_ = closer.Close() // which ends a write to a pipe without a reader
	}
}

// part waits until the file has taken all lines so far, for at most parting.
func (s *Spool) part() {
	s.mu.Lock()
	if s.file == nil || s.written == s.accepted {
		s.mu.Unlock()
		return
	}
	left := make(chan struct{})
	s.leaving, s.left = s.accepted, left
	s.mu.Unlock()
	select {
	case <-left:
	case <-time.After(parting):
	}
}

// Dropped returns how many lines were dropped.
func (s *Spool) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Depth returns how many bytes were taken and are not written yet, those of the batch that is being written
// included.
func (s *Spool) Depth() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.accepted - s.written)
}

// Close writes the waiting lines, for at most within, and closes the file. Lines that remain are counted as
// dropped.
func (s *Spool) Close(within time.Duration) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	signal(s.news)
	select {
	case <-s.done:
	case <-time.After(within):
	}
	s.Use(nil)
}

// run returns after Close, once nothing is left to write or the file was taken away.
func (s *Spool) run() {
	defer close(s.done)
	var b batch
	for {
		file, closed := s.take(&b)
		switch {
		case file != nil && b.written < len(b.lines):
			n, err := file.Write(b.lines[b.written:])
			b.written += n
			if err != nil && !errors.Is(err, os.ErrClosed) { // Use has closed it
				s.pause(err)
			}
		case closed:
			return
		default:
			select {
			case <-s.lines:
			case <-s.news:
			}
		}
	}
}

// batch holds the lines that are being written.
type batch struct {
	lines   []byte
	written int // bytes
}

// take returns the file and, if the whole batch is written, makes the waiting lines the next one.
func (s *Spool) take(b *batch) (file io.Writer, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed {
		s.changed = false
		b.written = 1 + bytes.LastIndexByte(b.lines[:b.written], '\n')
	}
	if b.written == len(b.lines) {
		s.written += uint64(len(b.lines))
		s.waiting, b.lines, b.written = b.lines[:0], s.waiting, 0
	}
	if s.left != nil && s.written >= s.leaving {
		close(s.left)
		s.left = nil
	}
	if s.closed && s.file == nil {
		s.dropped += count(b.lines[b.written:]) + count(s.waiting)
	}
	return s.file, s.closed
}

// pause reports an error, and waits for the next attempt: a second, or another file.
func (s *Spool) pause(err error) {
	if s.onError != nil {
		s.onError(err)
	}
	select {
	case <-s.news:
	case <-time.After(retry):
	}
}

func count(lines []byte) uint64 { return uint64(bytes.Count(lines, []byte{'\n'})) }

// signal sends on c unless a signal is pending.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
