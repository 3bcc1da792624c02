package milter

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	gomilter "github.com/d--j/go-milter"
)

// reads is what the milter behind the library looks at in its callbacks. The guard checks the rest, and
// leaves it out: it would cost the library a string and half a map entry for each macro, and several objects
// for each frame.
type reads struct {
	macros []string
	fields [][]byte // names of header fields
}

// read has the guard leave out macros and header fields other than these, for all its connections and for
// good; further calls add to the names, since a session goes on with the configuration that it began with. A
// guard that was never told leaves out nothing.
func (g *Guard) read(macros []string, fields ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := reads{}
	if r := g.reads.Load(); r != nil {
		all = reads{slices.Clone(r.macros), slices.Clone(r.fields)}
	}
	for _, name := range macros {
		if !slices.Contains(all.macros, name) {
			all.macros = append(all.macros, name)
		}
	}
	for _, name := range fields {
		if !all.reads([]byte(name)) {
			all.fields = append(all.fields, []byte(name))
		}
	}
	g.reads.Store(&all)
}

// reads reports whether anybody looks at fields of a name.
func (r *reads) reads(field []byte) bool {
	same := func(name []byte) bool { return bytes.EqualFold(name, field) }
	return slices.ContainsFunc(r.fields, same)
}

// progress is how far the library has come in a connection, as to what can be left out.
type progress struct {
	quiet bool  // SMFIP_NR_HDR was negotiated: header fields are not answered (of the writer, before any come)
	order int8  // of the last frame that orders knows, where macros count as their command
	held  uint8 // for which of stages the library has macros that are read, or more of them
}

const (
	// orders are the commands of a message as they follow each other. Where one comes before its time, the
	// library takes the message for aborted.
	orders = "CHMRTLNBE"
	// stages are the commands for which the library keeps macros. With those of a command, it drops those of
	// all that follow here, and with the command itself those that follow it. Those for other commands come
	// last, and are dropped after them.
	stages      = "CHMRTNE"
	otherStages = "ULAB"
)

// leave returns how many bytes at the end of a frame nobody reads, after it has moved them there, and whether
// nobody reads any of it.
func (c *guardConn) leave(frame []byte) (surplus int, all bool) {
	r, p := c.guard.reads.Load(), &c.progress
	if r == nil {
		return 0, false
	}
	code, data := frame[4], frame[headLen:]
	switch code {
	case 'D':
		kept := r.keep(data)
		all = !p.macros(data[0], kept > 1)
		code, surplus = data[0], len(data)-kept
	case 'L':
		name, _, _ := bytes.Cut(data, []byte{0})
		all = p.quiet && int(p.order) <= strings.IndexByte(orders, 'L') && p.held>>len(stages) == 0 &&
			!r.reads(bytes.TrimSpace(name))
	case 'M', 'R': // ESMTP parameters
		surplus = len(data) - 1 - bytes.IndexByte(data, 0)
	}
	if !all && frame[4] != 'D' {
		p.command(code)
	}
	if order := strings.IndexByte(orders, code); order >= 0 {
		p.order = int8(order)
	}
	return surplus, all
}

// keep moves the macros that are read to the front of a macro frame's data, behind its command, and returns
// how long that is. A macro that lacks the end of its value, or all of it, stays as it is: it is the last
// one.
func (r *reads) keep(data []byte) int {
	kept := 1
	for rest := data[1:]; len(rest) > 0; {
		name, value, _ := bytes.Cut(rest, []byte{0})
		_, after, _ := bytes.Cut(value, []byte{0})
		macro := rest[:len(rest)-len(after)]
		if slices.Contains(r.macros, string(name)) {
			kept += copy(data[kept:], macro)
		}
		rest = after
	}
	return kept
}

// macros notes a frame of macros for a command, some of which are read or none, and reports whether the
// library has to see it: if only because it drops others.
func (p *progress) macros(command byte, some bool) bool {
	stage := strings.IndexByte(stages, command)
	switch {
	case stage >= 0:
	case strings.IndexByte(otherStages, command) >= 0:
		stage = len(stages)
	default:
		return true // it is for the library to say something
	}
	drops := p.held>>stage != 0
	p.held &= 1<<stage - 1
	if some {
		p.held |= 1 << stage
	}
	return some || drops
}

// command notes a command for which the library drops macros.
func (p *progress) command(code byte) {
	stage := strings.IndexByte(stages, code)
	switch {
	case code == 'K':
		p.held = 0
	case code == 'A':
		p.held &= 1 // all but those of CONNECT
	case code == 'E':
		p.held &= 3 // those of HELO stay, too
	case stage >= 0:
		p.held &= 1<<(stage+1) - 1
	default:
		p.held &= 1<<len(stages) - 1
	}
}

// negotiated notes the protocol in the data of the answer to OPTNEG.
func (p *progress) negotiated(data []byte) {
	const before = 4 + 4 // version, actions
	if len(data) >= before+4 {
		p.quiet = gomilter.OptProtocol(binary.BigEndian.Uint32(data[before:]))&gomilter.OptNoHeaderReply != 0
	}
}
