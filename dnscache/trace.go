package dnscache

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// Trace describes one lookup as its caller saw it. Server is written as in Config.Servers.
type Trace struct {
	Name      string        // as asked: absolute and lower case
	Type      string        // "A", "AAAA", "MX", "NS", "PTR", "TXT"
	Server    string        // that answered or failed; empty for values from the cache
	Transport string        // "udp", "tcp", "tls" or "cache"; empty if none was asked or ctx ended
	Stale     bool          // Values have expired; Server and Rcode are those of the failure to renew them
	Rcode     string        // "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL"...; empty without an answer
	Values    []string      // addresses, PTR names, MX and NS hosts, TXT texts as quoted by strconv.Quote
	TTL       time.Duration // how long the answer will be kept, in whole seconds; 0 is not at all
	Took      time.Duration // until the lookup returned
	Err       error         // the lookup's error
}

type traceKey struct{}

// WithTrace returns a context with which each lookup calls trace once, before it returns. Lookups in several
// goroutines call it concurrently.
func WithTrace(ctx context.Context, trace func(Trace)) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// traceOf returns the function that WithTrace has put into ctx, or nil.
func traceOf(ctx context.Context) func(Trace) {
	trace, _ := ctx.Value(traceKey{}).(func(Trace))
	return trace
}

// trace returns the Trace of a lookup that ended in r and err.
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
		t.Stale, t.Server, t.Rcode = true, "", "" // if the servers are only late
		if f := result.failure; f != nil {
			t.Server, t.Rcode = f.server, f.rcode(r.transport)
		}
	}
	t.Values = display(q.qtype, r.result)
	return t
}

// rcode returns the Trace.Rcode of a failure: "" if no server answered.
func (f *failure) rcode(transport string) string {
	switch {
	case transport == "" || f.kind < unusable:
		return ""
	case f.kind > unusable:
		return f.text
	}
	return "NOERROR"
}

// display returns the values as text for people.
func display(qtype uint16, result any) []string {
	texts := list[string](result)
	if qtype == dns.TypeTXT { // any octets, and they must not reach a terminal
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
