package console

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/past"
)

// Fleet is what hosts share, through a server that may be away. Its methods may be called concurrently; none takes
// longer than seconds.
type Fleet interface {
	Host() string // the name of this one
	Hosts(context.Context) ([]string, error)
	// Open opens the decisions of a host, from a moment on, and OpenEnd the last n.
	Open(ctx context.Context, host string, from time.Time) (Stream, error)
	OpenEnd(ctx context.Context, host string, n int) (Stream, error)
}

// Stream is the decisions of a host: as a reader, lines of a decision log, those that were there when it was opened.
type Stream interface {
	io.ReadCloser
	// Next returns the next line, which is good until the next call. io.EOF is the error after the last.
	Next() ([]byte, error)
	// Follow lets reading go on after io.EOF with what has come, or after an error where it was.
	Follow()
	// Lacks says in words what is missing in what was read so far; "" is nothing.
	Lacks() string
}

// pace is how often a fleet is asked for what is new: for the rows, and for the evidence.
type pace struct{ rows, evidence time.Duration }

var usualPace = pace{time.Second, liveTime} // pages with figures look as often

// hostPace is how much each host adds to the time between two rounds, so that many are no more load for the server.
const hostPace = 5 * time.Millisecond

// follower reads what all hosts share, host by host, and then again and again what has come.
type follower struct {
	fleet Fleet
	every time.Duration // between two rounds, and more for each host
	share int           // of the time of a round, one part in so many is worked
	open  func(ctx context.Context, host string) (Stream, error)
	take  func(host string, line []byte) // which is good until it returns
	after func(error)                    // is called after each round with an error of the server

	streams map[string]Stream
	hosts   []string // of the round, sorted
	at      int      // the place of the one that is read
	lacks   []string // of which something is missing, and what
}

// follow reads until ctx ends.
func (f *follower) follow(ctx context.Context) {
	f.streams = map[string]Stream{}
	for {
		err := f.round(ctx)
		if ctx.Err() != nil {
			return
		}
		f.after(err)
		select {
		case <-time.After(f.every + time.Duration(len(f.hosts))*hostPace):
		case <-ctx.Done():
			return
		}
	}
}

// round reads what there is of each host. A host that cannot be read, though the server answers, is no error but lacks
// something.
func (f *follower) round(ctx context.Context) (err error) {
	if f.hosts, err = f.fleet.Hosts(ctx); err != nil {
		return err
	}
	for host := range f.streams { // also of one that has left
		if !slices.Contains(f.hosts, host) {
			f.hosts = append(f.hosts, host)
		}
	}
	slices.Sort(f.hosts)
	rest := past.NewRest(ctx, f.share)
	var lacks []string
	for at, host := range f.hosts {
		f.at = at
		err := f.host(ctx, host, rest)
		if err != nil {
			if _, err := f.fleet.Hosts(ctx); err != nil {
				return err
			}
			lacks = append(lacks, lack(host, " cannot be read: "+clean.Report(err.Error())))
		}
		if s := f.streams[host]; s != nil && s.Lacks() != "" {
			lacks = append(lacks, lack(host, ": "+s.Lacks()))
		}
	}
	f.at, f.lacks = len(f.hosts), lacks
	return nil
}

func lack(host, text string) string { return past.FleetPrefix + clean.Report(host) + text }

// host reads what there is of a host.
func (f *follower) host(ctx context.Context, host string, rest *past.Rest) (err error) {
	s := f.streams[host]
	if s == nil {
		if s, err = f.open(ctx, host); err != nil {
			return err
		}
		f.streams[host] = s
	} else {
		s.Follow()
	}
	for {
		line, err := s.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !rest.Take():
			return ctx.Err()
		}
		f.take(host, line)
	}
}
