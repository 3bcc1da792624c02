package dnscache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// tcpTimeout bounds the second half of an answer that UDP could not give.
const tcpTimeout = 2 * time.Second

// attempt asks one server: over UDP, then over TCP if the answer did not fit (RFC 7766 §5) or could not
// be believed (errSuspect); or over TLS and nothing else, since such a server was chosen so that nobody
// listens (RFC 7858 §4). It asks with EDNS, then without if the server does not know it (RFC 6891
// §6.2.2).
func (r *Resolver) negotiate(ctx context.Context, server string, q question) reply {
	to, _ := parseServer(server) // New has seen to it
	got := reply{server: server, transport: to.network}
	edns := true
	say := func(ctx context.Context) (*dns.Msg, error) {
		m, err := r.exchange(ctx, got.transport, server, q.query(edns))
		if err == nil && edns && ednsUnknown(m.Rcode) {
			edns = false
			m, err = r.exchange(ctx, got.transport, server, q.query(edns))
		}
		return m, err
	}
	m, err := say(ctx)
	if got.transport == "udp" && (errors.Is(err, errSuspect) || err == nil && m.Truncated) {
		got.transport = "tcp"
		tcp, cancel := context.WithTimeout(ctx, tcpTimeout)
		defer cancel()
		m, err = say(tcp)
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
	var certificate *tls.CertificateVerificationError // what is wrong with it, without its octets
	if errors.As(err, &certificate) {
		reason = certificate.Err
	}
	text := strings.TrimPrefix(reason.Error(), transport+": ")
	return &failure{kind: unreachable, text: transport + ": " + text}
}
