package dnscache

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is how long we wait for an answer before we also ask the next server: what a lost
	// datagram costs.
	patience = 400 * time.Millisecond
	// triesPerServer bounds the queries for one question.
	triesPerServer = 3
	// tcpTimeout bounds the second half of a truncated answer.
	tcpTimeout = 2 * time.Second
)

// ask puts q to the servers in turn until one gives a usable answer or ctx ends. The next query goes
// out when patience with the last one ends, or at once when a server fails and there is one not yet
// asked; the earlier ones are still listened to. A server that failed is not asked again. If all
// fail, the reply is the most telling failure.
func (r *Resolver) ask(ctx context.Context, q question) reply {
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait() // they end when ctx does
	defer cancel()

	queue := slices.Clone(r.servers) // those that have not failed, the longest unasked first
	replies := make(chan reply, triesPerServer*len(queue))
	next := time.NewTimer(0)
	defer next.Stop()
	var worst *failure
	var failed reply // with worst
	for tries := 0; len(queue) > 0; {
		select {
		case <-next.C:
			server := queue[0]
			queue = append(queue[1:], server)
			attempts.Go(func() { replies <- r.attempt(ctx, server, q) })
			if tries++; tries < cap(replies) {
				next.Reset(patience)
			}
		case got := <-replies:
			f := got.failure()
			if f == nil || f.kind == missing {
				return got
			}
			if worst == nil || f.kind > worst.kind {
				worst, failed = f, got
			}
			queue = slices.DeleteFunc(queue, func(server string) bool { return server == got.server })
			if tries < len(r.servers) {
				next.Reset(0)
			}
		}
	}
	return failed
}

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
