package dnscache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

// namedServers is an ExchangeFunc of servers that behave as their host names say, and records when they were
// asked. Those that answer have the address 192.0.2.1 for mx.example.org.
type namedServers struct {
	zone  dnstest.Zone
	start time.Time

	mu    sync.Mutex
	asked []string // "host@milliseconds", with "/tcp" over TCP
}

func newNamedServers(t *testing.T) *namedServers {
	return &namedServers{zone: dnstest.Parse(t, "mx.example.org. A 192.0.2.1"), start: time.Now()}
}

func (s *namedServers) exchange(
	ctx context.Context, network, server string, query *dns.Msg,
) (*dns.Msg, error) {
	host, _, _ := strings.Cut(server, ":")
	asked := fmt.Sprintf("%s@%d", host, time.Since(s.start).Milliseconds())
	if network == "tcp" {
		asked += "/tcp"
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	s.mu.Unlock()

	reply := s.zone.Reply(query)
	wait := 10 * time.Millisecond
	switch host {
	case "silent":
		<-ctx.Done()
	case "late":
		wait = time.Second
	case "unreachable":
		return nil, errors.New("no route to host")
	case "servfail":
		reply.Rcode = dns.RcodeServerFailure
	case "refused":
		reply.Rcode = dns.RcodeRefused
	case "late-servfail":
		reply.Rcode = dns.RcodeServerFailure
		wait = time.Second
	case "tcp-silent":
		if network == "tcp" {
			<-ctx.Done()
		}
		reply.Truncated = true
	case "truncates-tcp":
		reply.Truncated = true
	}
	select {
	case <-time.After(wait):
		return reply, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestFailover(t *testing.T) {
	for _, test := range []struct {
		story, servers string
		want           string
		took           time.Duration
		asked          string
	}{
		{
			"the first one answers: no other is asked", "good other",
			"192.0.2.1", 10 * time.Millisecond,
			"good@0",
		},
		{
			"the next server after 400 ms", "silent good",
			"192.0.2.1", 410 * time.Millisecond,
			"silent@0 good@400",
		},
		{
			"two silent ones cost 400 ms, not 800", "silent silent2 good",
			"192.0.2.1", 410 * time.Millisecond,
			"silent@0 silent2@400",
		},
		{
			"a late answer counts while the others are asked", "late silent",
			"192.0.2.1", time.Second,
			"late@0 silent@400 late@800",
		},
		{
			"a failure: the next one at once", "servfail good",
			"192.0.2.1", 20 * time.Millisecond,
			"servfail@0 good@10",
		},
		{
			"unreachable: the next one at once", "unreachable refused good",
			"192.0.2.1", 10*time.Millisecond + 10*time.Millisecond,
			"unreachable@0 refused@0 good@10",
		},
		{
			"the only server fails: asked once", "servfail",
			"SERVFAIL, temporary", 10 * time.Millisecond,
			"servfail@0",
		},
		{
			"the only server is silent: asked three times", "silent",
			"timeout, temporary, timeout", 5 * time.Second,
			"silent@0 silent@400 silent@800",
		},
		{
			"a server that failed is not asked again", "servfail silent",
			"SERVFAIL, temporary", 5 * time.Second,
			"servfail@0 silent@10 silent@410 silent@810 silent@1210 silent@1610",
		},
		{
			"all fail: an rcode is reported rather than a timeout", "unreachable silent late-servfail",
			"SERVFAIL, temporary", 5 * time.Second,
			"unreachable@0 silent@0 late-servfail@400 silent@800 late-servfail@1200 " +
				"silent@1600 silent@2000 silent@2400 silent@2800",
		},
		{
			"a timeout is reported rather than an unreachable server", "unreachable silent",
			"timeout, temporary, timeout", 5 * time.Second,
			"unreachable@0 silent@0 silent@400 silent@800 silent@1200 silent@1600",
		},
		{
			"no network", "unreachable",
			"udp: no route to host, temporary", 0,
			"unreachable@0",
		},
		{
			"TCP has its own deadline", "tcp-silent",
			"timeout, temporary, timeout", 2010 * time.Millisecond,
			"tcp-silent@0 tcp-silent@10/tcp tcp-silent@400 tcp-silent@410/tcp tcp-silent@800 tcp-silent@810/tcp",
		},
		{
			"truncated over TCP", "truncates-tcp",
			"truncated over TCP, temporary", 20 * time.Millisecond,
			"truncates-tcp@0 truncates-tcp@10/tcp",
		},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := newNamedServers(t)
				cfg := Config{Exchange: world.exchange}
				for _, host := range strings.Fields(test.servers) {
					cfg.Servers = append(cfg.Servers, host+":53")
				}
				r := newResolver(t, cfg)
				if got := resolve(t.Context(), r, "A mx.example.org"); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if took := time.Since(world.start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if asked := strings.Join(world.asked, " "); asked != test.asked {
					t.Errorf("asked %s\n want %s", asked, test.asked)
				}
			})
		})
	}
}
