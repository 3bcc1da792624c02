package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"helo-milter/cmd/helo-milter/internal/past"
)

// progress is a line on a terminal that says how far a command is, and is gone at the end. What is written to it
// goes above that line. It is nothing but its writer if that is no terminal.
type progress struct {
	out         io.Writer
	begin       time.Time
	size        int64 // bytes of all files; 0 if not known
	bytes, done atomic.Int64

	mu    sync.Mutex // of the terminal
	shown bool
	stop  chan struct{} // nil without a terminal
	ended sync.WaitGroup
}

// refresh is how often the line is written: no command that takes less shows one.
const refresh = 200 * time.Millisecond

// newProgress begins to show the progress through these files. end must be called.
func newProgress(out io.Writer, paths ...[]string) *progress {
	p := &progress{out: out, begin: time.Now()}
	terminal, ok := isTerminal(out)
	if !ok {
		return p
	}
	p.stop = make(chan struct{})
	p.ended.Go(func() {
		p.size = size(paths)
		for ticks := time.NewTicker(refresh); ; {
			select {
			case now := <-ticks.C:
				width, _, _ := term.GetSize(int(terminal.Fd())) // 0 if it cannot be found out
				p.show(p.line(now), cmp.Or(width, 80))
			case <-p.stop:
				ticks.Stop()
				return
			}
		}
	})
	return p
}

func isTerminal(out io.Writer) (terminal *os.File, is bool) {
	terminal, is = out.(*os.File)
	return terminal, is && term.IsTerminal(int(terminal.Fd()))
}

// size returns how many bytes all files have, or 0 if that is not known of standard input.
func size(paths [][]string) (bytes int64) {
	for _, files := range paths {
		for _, file := range files {
			if file == "-" {
				return 0
			}
			bytes += past.Size(file)
		}
	}
	return bytes
}

// read counts bytes that were read. It may be called by several goroutines at once.
func (p *progress) read(n int) { p.bytes.Add(int64(n)) }

// add counts a record or message.
func (p *progress) add() { p.done.Add(1) }

func (p *progress) line(now time.Time) string {
	took, done, bytes := now.Sub(p.begin), p.done.Load(), p.bytes.Load()
	text := fmt.Sprintf("%d read, %.0f/s", done, float64(done)/took.Seconds())
	if 0 < bytes && bytes <= p.size {
		left := time.Duration(float64(took) * float64(p.size-bytes) / float64(bytes))
		text += fmt.Sprintf(", %d %%, %s left", 100*bytes/p.size, left.Round(time.Second))
	}
	return text
}

func (p *progress) show(line string, width int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = true
	fmt.Fprint(p.out, erase, line[:min(len(line), width-1)]) // a line that wraps could not be erased
}

// erase goes to the beginning of the line, and erases it (ECMA-48 EL).
const erase = "\r\x1b[K"

// Write writes above the line, which comes back at its next refresh.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hide()
	return p.out.Write(text)
}

func (p *progress) hide() {
	if p.shown {
		fmt.Fprint(p.out, erase)
		p.shown = false
	}
}

// end takes the line away. It may be called more than once.
func (p *progress) end() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	p.ended.Wait()
	p.stop = nil
	p.hide()
}
