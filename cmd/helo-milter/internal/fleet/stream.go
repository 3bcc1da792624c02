package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// page is how many entries of a stream are read at once.
	page = 200
	// slack is how far the clock of a host may be behind the server's: entries are found by the server's.
	slack = time.Hour
)

// hostForm is that of the names that hosts have: others were written by somebody else.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)

// Hosts returns the hosts that the fleet has, or had within 30 days, sorted.
func (s *Server) Hosts(ctx context.Context) ([]string, error) {
	hosts, err := s.client.ZRange(ctx, s.key("hosts"), 0, -1).Result()
	if err != nil {
		return nil, s.failed(err)
	}
	hosts = slices.DeleteFunc(hosts, func(host string) bool { return !hostForm.MatchString(host) })
	slices.Sort(hosts)
	return hosts, nil
}

func (s *Server) failed(err error) error {
	return fmt.Errorf("%s of the fleet: %w", strings.TrimSuffix(s.prefix, ":"), err)
}

// Stream reads the records of a host: lines as in a decision log, those that were there when it was opened. It is for
// one goroutine.
type Stream struct {
	ctx     context.Context
	server  *Server
	key     string
	next    string           // where the next page begins
	end     string           // the last entry to be read; "" is none
	entries []redis.XMessage // that were read and not given away yet
	record  []byte           // the last that was given away
	rest    []byte           // of it, what Read has not returned
	lost    lostOf
}

// Open opens the stream of a host, from an hour before a moment on; the zero time is all. A host that has no stream has an
// empty one. All reading ends with the context.
func (s *Server) Open(ctx context.Context, host string, from time.Time) (*Stream, error) {
	in := &Stream{ctx: ctx, server: s, key: s.key("decisions", host), next: "-"}
	in.lost.whole = from.IsZero()
	if !from.IsZero() {
		in.next = strconv.FormatInt(from.Add(-slack).UnixMilli(), 10)
	}
	last, err := s.client.XRevRangeN(ctx, in.key, "+", "-", 1).Result()
	if err == nil && len(last) > 0 {
		in.end = last[0].ID
	}
	if err != nil {
		return nil, s.failed(err)
	}
	if !in.lost.whole && in.end != "" {
		first, err := s.client.XRangeN(ctx, in.key, "-", "+", 1).Result()
		if err != nil {
			return nil, s.failed(err)
		}
		in.lost.whole = len(first) == 0 || !older(first[0].ID, in.next)
	}
	return in, nil
}

// OpenEnd opens the stream of a host at its last n records, at most 200.
func (s *Server) OpenEnd(ctx context.Context, host string, n int) (*Stream, error) {
	in := &Stream{ctx: ctx, server: s, key: s.key("decisions", host), next: "-"}
	last, err := s.client.XRevRangeN(ctx, in.key, "+", "-", int64(min(n, page))).Result()
	if err != nil {
		return nil, s.failed(err)
	}
	if len(last) > 0 {
		in.end, in.next = last[0].ID, last[len(last)-1].ID
	}
	return in, nil
}

// Follow lets reading go on after io.EOF, with what has come meanwhile, or after an error, with what it kept back.
func (in *Stream) Follow() { in.end = "+" }

// older reports whether the entry of one id was before another, by the server's clock.
func older(a, b string) bool {
	ms := func(id string) int64 {
		id, _, _ = strings.Cut(id, "-")
		n, _ := strconv.ParseInt(id, 10, 64)
		return n
	}
	return ms(a) < ms(b)
}

// Read implements io.Reader.
func (in *Stream) Read(p []byte) (int, error) {
	if len(in.rest) == 0 {
		if _, err := in.Next(); err != nil {
			return 0, err
		}
		in.record = append(in.record, '\n')
		in.rest = in.record
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// Next returns the next record, without a newline at its end, which is good until the next call. io.EOF is the error
// after the last.
func (in *Stream) Next() ([]byte, error) {
	for {
		for len(in.entries) > 0 {
			e := in.entries[0]
			in.entries[0] = redis.XMessage{}
			in.entries = in.entries[1:]
			if !in.lost.again(numbersOf(e)) {
				in.record = appendRecord(in.record[:0], e)
				return in.record, nil
			}
		}
		if in.end == "" {
			return nil, io.EOF
		}
		if err := in.turn(); err != nil {
			return nil, err
		}
	}
}

// turn reads the next page.
func (in *Stream) turn() (err error) {
	in.entries, err = in.server.client.XRangeN(in.ctx, in.key, in.next, in.end, page).Result()
	if err != nil {
		in.entries = nil
		return in.server.failed(err)
	}
	if len(in.entries) > 0 {
		in.next = "(" + in.entries[len(in.entries)-1].ID
	}
	if len(in.entries) < page {
		in.end = ""
	}
	return nil
}

// appendRecord appends the record of an entry as one line. What an entry of another version has instead is no record.
func appendRecord(b []byte, e redis.XMessage) []byte {
	record, ok := e.Values["r"].(string)
	if !ok || record == "" {
		record = "{}"
	}
	start := len(b)
	b = append(b, record...)
	for i := start; i < len(b); i++ {
		if b[i] == '\n' {
			b[i] = ' ' // between two tokens of JSON it means the same
		}
	}
	return b
}

// Lost says what is missing in what was read so far.
func (in *Stream) Lost() Lost { return in.lost.sum() }

// Lacks says it in words; "" is nothing.
func (in *Stream) Lacks() string {
	if lost := in.Lost(); lost.Any() {
		return lost.String()
	}
	return ""
}

// Close ends the reading.
func (in *Stream) Close() error {
	in.end, in.entries, in.rest = "", nil, nil
	return nil
}

// numbers are those of an entry: of the process that wrote it, its own, and how many were dropped before it.
type numbers struct {
	process         string
	number, dropped uint64
}

var errNumbers = errors.New("not the numbers of a record")

// UnmarshalText reads the field n of an entry.
func (n *numbers) UnmarshalText(text []byte) (err error) {
	fields := strings.Split(string(text), " ")
	if len(fields) != 3 || fields[0] == "" || len(fields[0]) > 64 {
		return errNumbers
	}
	n.process = fields[0]
	if n.number, err = strconv.ParseUint(fields[1], 10, 48); err != nil {
		return err
	}
	if n.number == 0 {
		return errNumbers
	}
	n.dropped, err = strconv.ParseUint(fields[2], 10, 48)
	return err
}

// numbersOf returns the numbers of an entry; without them, none.
func numbersOf(e redis.XMessage) (n numbers) {
	text, _ := e.Values["n"].(string)
	if err := n.UnmarshalText([]byte(text)); err != nil {
		return numbers{}
	}
	return n
}
