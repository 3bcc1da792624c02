package dnscache

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// Trace tells how one lookup went, as its caller saw it.
type Trace struct {
	Name      string        // as asked: absolute and lower case
	Type      string        // "A", "AAAA", "MX", "PTR"
	Server    string        // HOST:PORT of who answered; for a good answer from the cache empty
	Transport string        // "udp", "tcp" or "cache"; empty if nothing was asked or the caller left
	Rcode     string        // "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL"...; empty without an answer
	TTL       time.Duration // how long the answer will be kept, in whole seconds; 0 for not at all
	Took      time.Duration
	Err       error // the lookup's error
}

type traceKey struct{}

// WithTrace returns a context under which each lookup calls trace once, before it returns. Lookups
// of several goroutines call it at the same time.
func WithTrace(ctx context.Context, trace func(Trace)) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

func traceOf(ctx context.Context) func(Trace) {
	trace, _ := ctx.Value(traceKey{}).(func(Trace))
	return trace
}

func (r reply) trace(q question, took, ttl time.Duration, err error) Trace {
	t := Trace{
		Name:      q.name,
		Type:      dns.TypeToString[q.qtype],
		Server:    r.server,
		Transport: r.transport,
		Rcode:     "NOERROR",
		TTL:       max(0, ttl).Round(time.Second),
		Took:      took,
		Err:       err,
	}
	f := r.failure()
	if f == nil {
		return t
	}
	t.Server = f.server
	switch {
	case r.transport == "" || f.kind < unusable:
		t.Rcode = ""
	case f.kind > unusable:
		t.Rcode = f.text
	}
	return t
}
