package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/dnscache"
)

// badDNS never answers about silent names, and fails about others, but for what there is not.
func badDNS(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	name := query.Question[0].Name
	if strings.HasPrefix(name, "silent") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable, m.Rcode = true, dns.RcodeServerFailure
	if dns.IsSubDomain("microsoft.com.", name) || dns.IsSubDomain("arpa.", name) {
		m.Rcode = dns.RcodeNameError
	}
	return m, nil
}

// open returns how sessions are opened by the default configuration in enforce mode, and their resolver.
func open(t *testing.T) (func(client netip.Addr) *checks.Session, *dnscache.Resolver) {
	r, err := dnscache.New(dnscache.Config{Servers: []string{"192.0.2.53:53"}, Exchange: badDNS})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Judge.Policy.Mode = checks.Enforce
	return func(client netip.Addr) *checks.Session {
		return cfg.Judge.Open(t.Context(), cfg.Asking(r), client, checks.Site{})
	}, r
}

// Many sessions that greet without end while the DNS is silent take no more memory than their share of the
// places, and give it back.
func TestSilentSessionsAreBounded(t *testing.T) {
	for _, test := range []struct{ sessions, greetings, inFlight, MiB int }{
		{60, 25, 200, 20},
		{1, 1000, 50, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			open, r := open(t)
			before := inUse()
			var sessions []*checks.Session
			for n := range test.sessions {
				s := open(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}))
				for g := range test.greetings {
					s.Greet(checks.ParseHelo(fmt.Sprintf("silent.n%dx%d.com", n, g)))
					synctest.Wait()
				}
				sessions = append(sessions, s)
			}
			inFlight, waiting := r.Load()
			grown := (inUse() - before) >> 20
			t.Logf("%d sessions of %d: %d MiB, %d questions and %d that wait, %d goroutines",
				test.sessions, test.greetings, grown, inFlight, waiting, runtime.NumGoroutine())
			if inFlight > test.inFlight || waiting > 500 || grown > test.MiB {
				t.Errorf("want at most %d and 500, and %d MiB", test.inFlight, test.MiB)
			}
			for _, s := range sessions {
				s.Close()
			}
			synctest.Wait()
			if _, waiting := r.Load(); waiting > 0 {
				t.Errorf("%d wait for sessions that have left", waiting)
			}
			time.Sleep(5 * time.Second)
		})
	}
}

// Failures that a session causes do not let it in, nor the next one.
func TestOwnFailuresDoNotClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, r := open(t)
		for n := range 30 {
			s := open(netip.MustParseAddr("203.0.113.9"))
			for g := range 5 {
				s.Greet(checks.ParseHelo(fmt.Sprintf("mail.broken%dx%d.com", n, g)))
			}
			s.Greet(checks.ParseHelo("bob.microsoft.com"))
			s.Mail(time.Time{})
			if v := s.Rcpt(""); v.Did() != checks.Reject {
				t.Errorf("session %d: %s, unsure %s", n, v.Want(), v.Unsure())
			}
			s.Close()
		}
		if r.Degraded() {
			t.Error("degraded by the failures of one network")
		}
	})
}

func inUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
