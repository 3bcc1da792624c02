package dnscache

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// tcpTimeout bounds the second half of a truncated answer.
const tcpTimeout = 2 * time.Second

// attempt asks one server: over UDP with EDNS, then without for a server that does not know it
// (RFC 6891 §6.2.2), then over TCP if the answer did not fit (RFC 7766 §5).
func (r *Resolver) attempt(ctx context.Context, server string, q question) reply {
	got := reply{server: server, transport: "udp"}
	edns := true
	m, err := r.exchange(ctx, "udp", server, q.query(edns))
	if err == nil && ednsUnknown(m.Rcode) {
		edns = false
		m, err = r.exchange(ctx, "udp", server, q.query(edns))
	}
	if err == nil && m.Truncated {
		got.transport = "tcp"
		tcp, cancel := context.WithTimeout(ctx, tcpTimeout)
		defer cancel()
		m, err = r.exchange(tcp, "tcp", server, q.query(edns))
	}
	if err != nil {
		got.result, got.ttl = transportFailure(got.transport, err), failureTTL
	} else {
		got.result, got.ttl = read(m, q)
	}
	if f := got.failure(); f != nil {
		f.server = server
	}
	return got
}

func ednsUnknown(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

func transportFailure(transport string, err error) *failure {
	var network net.Error // context.DeadlineExceeded is one too
	if errors.As(err, &network) && network.Timeout() {
		return &failure{kind: timeout, text: "timeout"}
	}
	reason := err
	var errno syscall.Errno // "connection refused" without the addresses around it
	if errors.As(err, &errno) {
		reason = errno
	}
	return &failure{kind: unreachable, text: transport + ": " + reason.Error()}
}
