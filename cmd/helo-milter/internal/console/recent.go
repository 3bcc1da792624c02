package console

import (
	"bytes"
	"io"
	"os"
	"slices"
	"sync"
)

// maxRecent is how many bytes of lines are kept: some 12,000 decisions.
const maxRecent = 16 << 20

// line is a decision as in the decision log, and the host of the fleet that it is of; "" without a fleet.
type line struct {
	host string
	text []byte
}

// recent are the last decisions. Its methods are safe for concurrent use.
type recent struct {
	mu      sync.Mutex
	earlier []line // of the decision log or the fleet, before the start
	lines   []line
	bytes   int
	last    uint64 // the number of the last line; the first of a daemon is 1
}

// add keeps a line, and returns its number.
func (r *recent) add(l line) uint64 {
	kept := line{l.host, slices.Clone(l.text)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, kept)
	r.bytes += len(kept.text)
	for r.bytes > maxRecent && len(r.lines) > 1 {
		r.bytes -= len(r.lines[0].text)
		r.lines[0] = line{}
		r.lines = r.lines[1:]
	}
	r.last++
	return r.last
}

// before keeps lines that were written before the start.
func (r *recent) before(lines []line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.earlier = lines
}

// past returns all lines, the oldest first, those before the start included.
func (r *recent) past() []line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.earlier, r.lines)
}

// all returns the lines, the oldest first, and the number of the last.
func (r *recent) all() (lines []line, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines), r.last
}

// size returns how many lines and bytes there are.
func (r *recent) size() (lines, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines), r.bytes
}

// maxEarlier is how many bytes are read of the end of a decision log.
const maxEarlier = 1 << 20

// endOf returns the last lines of a file. Nothing waits for it: the disk may be slow.
func endOf(path string) (lines []line) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // to open a pipe could take forever
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close() // it was only read
	from := max(0, info.Size()-maxEarlier)
	text, err := io.ReadAll(io.NewSectionReader(file, from, maxEarlier))
	if err != nil {
		return nil
	}
	for text := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("\n")) {
		lines = append(lines, line{text: text})
	}
	if from > 0 {
		lines = lines[1:] // it began before
	}
	return lines
}
