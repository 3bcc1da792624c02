package fleet

import (
	"fmt"
	"strings"
)

// Lost says what a stream does not have any more, or never had.
type Lost struct {
	Trimmed uint64 // records before the first one: the stream is bounded
	Missing uint64 // between others: trimmed while they were read, or flushed
	Dropped uint64 // by the host, which could not send them in time
	Twice   uint64 // not lost: sent again, and left out
	Unknown uint64 // entries without numbers: of another version
}

// Any reports whether something is missing.
func (l Lost) Any() bool { return l.Trimmed+l.Missing+l.Dropped+l.Unknown > 0 }

// String says it in words: "120 earlier records are not kept any more, 3 were dropped by the host".
func (l Lost) String() string {
	var parts []string
	add := func(n uint64, one, many string) {
		if n == 1 {
			parts = append(parts, "1 "+one)
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(l.Trimmed, "earlier record is not kept any more", "earlier records are not kept any more")
	add(l.Missing, "record in between is missing", "records in between are missing")
	add(l.Dropped, "record was dropped by the host", "records were dropped by the host")
	add(l.Unknown, "entry is of another version", "entries are of another version")
	return strings.Join(parts, ", ")
}

// maxProcesses bounds how many processes of a host are told apart: those of a host that is started again and again.
const maxProcesses = 10_000

// lostOf counts what is missing, entry by entry.
type lostOf struct {
	whole     bool // reading began with the first entry of the stream
	lost      Lost
	begun     bool
	processes map[string]*progressOf
}

// progressOf is how far the entries of a process have come.
type progressOf struct {
	last, droppedBefore, dropped uint64
}

// again notes an entry, and reports whether it was there before.
func (l *lostOf) again(n numbers) bool {
	if n.process == "" {
		l.lost.Unknown++
		return false
	}
	if l.processes == nil {
		l.processes = map[string]*progressOf{}
	}
	first := !l.begun
	l.begun = true
	p := l.processes[n.process]
	switch {
	case p != nil && n.number <= p.last:
		l.lost.Twice++
		return true
	case p != nil:
		l.lost.Missing += n.number - p.last - 1
	case len(l.processes) >= maxProcesses:
		return false
	default:
		p = &progressOf{}
		l.processes[n.process] = p
		switch {
		case first && l.whole:
			l.lost.Trimmed += n.number - 1
		case first:
			p.droppedBefore = n.dropped // those before the period
		default:
			l.lost.Missing += n.number - 1
		}
	}
	p.last, p.dropped = n.number, max(p.dropped, n.dropped)
	return false
}

func (l *lostOf) sum() Lost {
	lost := l.lost
	for _, p := range l.processes {
		lost.Dropped += p.dropped - min(p.dropped, p.droppedBefore)
	}
	return lost
}
