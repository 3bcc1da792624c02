package dnscache

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// Trace tells how one lookup went, as its caller saw it.
type Trace struct {
	Name      string        // as asked: absolute and lower case
	Type      string        // "A", "AAAA", "MX", "NS", "PTR", "TXT"
	Server    string        // who answered or failed, as in Config.Servers; empty for good news from the cache
	Transport string        // "udp", "tcp", "tls" or "cache"; empty if nothing was asked or the caller left
	Stale     bool          // Values had expired; Server and Rcode say who failed to renew them, and how
	Rcode     string        // "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL"...; empty without an answer
	Values    []string      // what was found: addresses, PTR names, MX and NS hosts, TXT texts in Go's quotes
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
	switch result := r.result.(type) {
	case *failure:
		t.Server, t.Rcode = result.server, result.rcode(r.transport)
		return t
	case *stale:
		t.Stale, t.Server, t.Rcode = true, "", "" // where the servers are only late
		if f := result.failure; f != nil {
			t.Server, t.Rcode = f.server, f.rcode(r.transport)
		}
	}
	t.Values = display(q.qtype, r.result)
	return t
}

// rcode is the answer's where there was one that says why.
func (f *failure) rcode(transport string) string {
	switch {
	case transport == "" || f.kind < unusable:
		return ""
	case f.kind > unusable:
		return f.text
	}
	return "NOERROR"
}

// display writes values for people.
func display(qtype uint16, result any) []string {
	texts := list[string](result)
	if qtype == dns.TypeTXT { // any octets: they must not get at a terminal
		for i, text := range texts {
			texts[i] = strconv.Quote(text)
		}
	}
	for _, addr := range list[netip.Addr](result) {
		texts = append(texts, addr.String())
	}
	for _, mx := range list[net.MX](result) {
		texts = append(texts, mx.Host)
	}
	return texts
}
