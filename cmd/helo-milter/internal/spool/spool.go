// Package spool writes lines without ever holding up who has them: a full disk, or a pipe that nobody
// reads, costs lines and not mail.
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
	// limit is how many bytes of lines wait at most; as many again are being written.
	limit = 4 << 20
	// retry is the pause after a write that failed.
	retry = time.Second
	// parting is how long a file has for the lines from before it is given up for another.
	parting = 100 * time.Millisecond
)

// Spool takes lines and writes them from a goroutine of its own, whole and in order. What finds no room
// because the file does not take it is dropped and counted.
type Spool struct {
	onError func(error)
	lines   chan struct{} // there are some
	news    chan struct{} // of the file, or that it is over
	done    chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	file     io.Writer
	changed  bool // the file was
	waiting  []byte
	accepted uint64        // bytes, of all lines so far
	written  uint64        // of those, the bytes of whole batches
	leaving  uint64        // how many are to be written before the file is changed
	left     chan struct{} // closed when they are; nil when nobody waits for that
	dropped  uint64
	closed   bool
}

// New returns a spool that writes to a file. What fails is told to onError, if not nil, and tried again
// every second. A nil file takes nothing: lines wait for Use. Close must be called.
func New(file io.Writer, onError func(error)) *Spool {
	s := &Spool{
		onError: onError, file: file,
		lines: make(chan struct{}, 1), news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// Write takes lines, the last one's newline included. It never blocks and never fails.
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

// Use has the lines go to another file from now on and closes the one before, if that can be closed. What
// that one does not take in a tenth of a second, a line that is half written as a whole, goes to the new one.
// It must not be called by two goroutines at a time.
func (s *Spool) Use(file io.Writer) {
	s.part()
	s.mu.Lock()
	old := s.file
	s.file, s.changed = file, true
	s.mu.Unlock()
	signal(s.news)
	if closer, ok := old.(io.Closer); ok {
		_ = closer.Close() // which ends a write to a pipe that nobody reads
	}
}

// part gives the file its time.
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

// Dropped is how many lines were dropped.
func (s *Spool) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Close writes what there is, for as long as it may take, and closes the file.
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

// run ends when the spool is closed, and nothing is left or the file is gone.
func (s *Spool) run() {
	defer close(s.done)
	var b batch
	for {
		file, closed := s.take(&b)
		switch {
		case file != nil && b.written < len(b.lines):
			n, err := file.Write(b.lines[b.written:])
			b.written += n
			if err != nil && !errors.Is(err, os.ErrClosed) { // that is by Use
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

// batch is what the goroutine is writing.
type batch struct {
	lines   []byte
	written int // bytes
}

// take returns the file and, when all of the batch is written, makes what waits the next one.
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

// pause waits until it is worth to try again.
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

// signal leaves a signal unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
