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

// tcpTimeout bounds the query over TCP after one over UDP.
const tcpTimeout = 2 * time.Second

// negotiate asks one server: over UDP, then over TCP if the answer did not fit (RFC 7766 §5) or may be forged
// (errSuspect, and errCase, with afterCase for TCP); or over TLS and nothing else, since such a server was
// chosen for privacy (RFC 7858 §4). It asks with EDNS, then without if the server does not support it (RFC
// 6891 §6.2.2). The name of q may be in random case; over TCP it is in lower case.
func (r *resolver) negotiate(ctx context.Context, server string, q question, afterCase time.Duration) reply {
	to, _ := parseServer(server) // newPool and nameservers have checked it
	got := reply{server: server, transport: to.network}
	edns := true
	send := func(ctx context.Context) (*dns.Msg, error) {
		m, err := r.exchange(ctx, got.transport, server, q.query(edns))
		if err == nil && edns && ednsUnknown(m.Rcode) {
			edns = false
			m, err = r.exchange(ctx, got.transport, server, q.query(edns))
		}
		return m, err
	}
	m, err := send(ctx)
	got.misspelled = errors.Is(err, errCase)
	suspect := got.misspelled || errors.Is(err, errSuspect)
	if got.transport == "udp" && (suspect || err == nil && m.Truncated) {
		wait := tcpTimeout
		if got.misspelled {
			wait = afterCase
		}
		q.name = strings.ToLower(q.name)
		got.transport = "tcp"
		tcp, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		m, err = send(tcp)
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

// ednsUnknown reports whether a server that does not support EDNS may answer a query with it so.
func ednsUnknown(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// transportFailure returns err as a failure, with a text short enough for a log line.
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
	var certificate *tls.CertificateVerificationError // the reason, without the certificate
	if errors.As(err, &certificate) {
		reason = certificate.Err
	}
	text := strings.TrimPrefix(reason.Error(), transport+": ")
	return &failure{kind: unreachable, text: transport + ": " + text}
}
