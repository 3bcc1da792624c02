package opensmtpd

import (
	"io"
	"sync"
)

// maxUnwritten is how many bytes may wait to be written before whoever writes has to wait. smtpd always
// reads: its end of the filter's socket does not block (lka_proc_forked in its lka_filter.c).
const maxUnwritten = 1 << 20

// output writes whole lines in a goroutine of its own, as many at a time as there are. Its methods are safe for
// concurrent use.
type output struct {
	mu      sync.Mutex
	changed sync.Cond
	lines   []byte
	spare   []byte
	writing bool
	err     error // the first one: nothing is written any more
	to      io.Writer
}

func newOutput(to io.Writer) *output {
	o := &output{to: to}
	o.changed.L = &o.mu
	return o
}

// line writes a line of these fields.
func (o *output) line(fields ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.lines) > maxUnwritten && o.err == nil {
		o.changed.Wait()
	}
	if o.err != nil {
		return
	}
	for i, field := range fields {
		if i > 0 {
			o.lines = append(o.lines, '|')
		}
		o.lines = append(o.lines, field...)
	}
	o.lines = append(o.lines, '\n')
	if !o.writing {
		o.writing = true
		go o.write()
	}
}

// write writes until there is nothing left.
func (o *output) write() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.lines) > 0 && o.err == nil {
		lines := o.lines
		o.lines = o.spare[:0]
		o.changed.Broadcast()
		o.mu.Unlock()
		_, err := o.to.Write(lines)
		o.mu.Lock()
		o.spare, o.err = lines, err
		if cap(lines) > maxUnwritten {
			o.spare = nil
		}
	}
	o.writing = false
	o.changed.Broadcast()
}

// flush waits until all lines are written, or cannot be, with the error.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing {
		o.changed.Wait()
	}
	return o.err
}
