package dnscache

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

// Servers that do not cope with random case, over sockets. Whatever is asked first, or at the same time, is
// answered, and right.
func TestServersWithoutRandomCase(t *testing.T) {
	const zone = `
a-very-long-host-name.example.org.   A     192.0.2.1
a-very-long-host-name.example.org.   AAAA  2001:db8::1
example.org.                         MX    10 a-very-long-host-name.example.org.
example.org.                         TXT   "v=spf1 -all"
192.0.2.1                            PTR   a-very-long-host-name.example.org.
`
	lookups := []struct{ lookup, want string }{
		{"A a-very-long-host-name.example.org", "192.0.2.1"},
		{"AAAA a-very-long-host-name.example.org", "2001:db8::1"},
		{"MX example.org", "10:a-very-long-host-name.example.org."},
		{"TXT example.org", `"v=spf1 -all"`},
		{"PTR 192.0.2.1", "a-very-long-host-name.example.org."},
		{"A there-is-no-such-name.example.org", "NXDOMAIN, not found"},
		{"MX a-very-long-host-name.example.org", "NODATA, not found"},
	}
	for _, habit := range []string{"case-sensitive", "lowercase", "lowercase-no-tcp"} {
		t.Run(habit, func(t *testing.T) {
			t.Parallel()
			cfg := Config{CaseRandomization: CaseOn}
			shared, server := resolverOf(t, fmt.Sprintf(`%s. TXT "dnstest" %q`, zone, habit), cfg)
			cfg.Servers = []string{server.Addr()}
			var all sync.WaitGroup
			for _, test := range lookups {
				for _, r := range []*Resolver{shared, newResolver(t, cfg)} {
					all.Go(func() {
						if got := resolve(t.Context(), r, test.lookup); got != test.want {
							t.Errorf("%s: got %s, want %s", test.lookup, got, test.want)
						}
					})
				}
			}
			all.Wait()
		})
	}
}

// speller is an ExchangeFunc of servers whose habit can be set: "copes", "case-sensitive", "lowercase",
// "silent-tcp", "refused-tcp" and "servfail-tcp" (lower case over UDP, and none over TCP), "truncates" (over
// UDP), and "servfail-plain" (case-sensitive, and SERVFAIL if asked plainly). An answer takes 10 ms.
type speller struct {
	zone  dnstest.Zone
	mu    sync.Mutex
	habit string
	asked []string // "tcp", or "mixed" or "plain" over UDP
}

func (s *speller) exchange(ctx context.Context, network, _ string, query *dns.Msg) (*dns.Msg, error) {
	asked := "plain"
	if query.Question[0].Name != strings.ToLower(query.Question[0].Name) {
		asked = "mixed"
	}
	if network == "tcp" {
		asked = strings.TrimSuffix("tcp-"+asked, "-plain")
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	habit := s.habit
	s.mu.Unlock()

	time.Sleep(10 * time.Millisecond)
	reply := s.zone.Reply(query)
	mixed := asked == "mixed"
	switch {
	case mixed && (habit == "case-sensitive" || habit == "servfail-plain"):
		reply.Rcode, reply.Answer = dns.RcodeNameError, nil
	case habit == "servfail-plain", habit == "servfail-tcp" && network == "tcp":
		reply.Rcode = dns.RcodeServerFailure
	case habit == "truncates":
		reply.Truncated = network == "udp"
	case mixed && habit != "copes":
		return nil, errCase
	case habit == "refused-tcp" && network == "tcp":
		return nil, syscall.ECONNREFUSED
	case habit == "silent-tcp" && network == "tcp":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply, nil
}

// A script sets the habit of the server ("=lowercase"), waits ("wait 10m"), or asks: what, with which result
// after how many milliseconds, and how the server was asked. Nothing is kept in the cache but failures.
func TestSpelling(t *testing.T) {
	for _, test := range []struct{ story, script string }{
		{
			"copes: a negative answer is asked again until it has found a name", "=copes; " +
				"none: NXDOMAIN, not found 20 mixed plain; noipv6: NODATA, not found 20 mixed plain; " +
				"host: 192.0.2.1 10 mixed; none: NXDOMAIN, not found 10 mixed; noipv6: NODATA, not found 10 mixed",
		},
		{
			"copes: not for ever, but each name that it finds counts", "=copes; host: 192.0.2.1 10 mixed; " +
				"wait 9m; host: 192.0.2.1 10 mixed; wait 9m; none: NXDOMAIN, not found 10 mixed; " +
				"wait 2m; none: NXDOMAIN, not found 20 mixed plain",
		},
		{
			"case-sensitive: plain for an hour", "=case-sensitive; host: 192.0.2.1 20 mixed plain; " +
				"none: NXDOMAIN, not found 10 plain; wait 59m; host: 192.0.2.1 10 plain; " +
				"wait 2m; host: 192.0.2.1 20 mixed plain",
		},
		{
			"case-sensitive: NODATA is not NXDOMAIN", "=case-sensitive; " +
				"none: NXDOMAIN, not found 20 mixed plain; noipv6: NODATA, not found 20 mixed plain; " +
				"host: 192.0.2.1 10 plain",
		},
		{
			"nobody is held to the first answer if the plain one fails", "=servfail-plain; " +
				"none: SERVFAIL, temporary 20 mixed plain; host: SERVFAIL, temporary 20 mixed plain",
		},
		{
			"lower case: over TCP, each time", "=lowercase; host: 192.0.2.1 20 mixed tcp; " +
				"none: NXDOMAIN, not found 20 mixed tcp; host: 192.0.2.1 20 mixed tcp",
		},
		{
			"lower case and TCP is silent: plain for an hour", "=silent-tcp; " +
				"host: 192.0.2.1 220 mixed tcp plain; none: NXDOMAIN, not found 10 plain; " +
				"wait 61m; none: NXDOMAIN, not found 220 mixed tcp plain; host: 192.0.2.1 10 plain",
		},
		{
			"lower case and TCP is closed", "=refused-tcp; " +
				"noipv6: NODATA, not found 30 mixed tcp plain; host: 192.0.2.1 10 plain",
		},
		{
			"lower case and TCP fails: a forwarder that hands nothing on over TCP", "=servfail-tcp; " +
				"host: 192.0.2.1 30 mixed tcp plain; none: NXDOMAIN, not found 10 plain",
		},
		{
			"it has shown that it copes: lower case is a forgery", "=copes; host: 192.0.2.1 10 mixed; " +
				"=lowercase; host: 192.0.2.1 20 mixed tcp; =refused-tcp; " +
				"host: tcp: connection refused, temporary 20 mixed tcp; =silent-tcp; " +
				"other: timeout, temporary, timeout 2010 mixed tcp mixed tcp mixed tcp; " +
				"=copes; noipv6: NODATA, not found 10 mixed",
		},
		{
			"another server at the address: found after ten minutes", "=copes; host: 192.0.2.1 10 mixed; " +
				"=case-sensitive; host: NXDOMAIN, not found 10 mixed; wait 11m; host: 192.0.2.1 20 mixed plain",
		},
		{
			"truncated: TCP is asked plainly, and shows nothing", "=truncates; host: 192.0.2.1 20 mixed tcp; " +
				"none: NXDOMAIN, not found 20 mixed tcp; =case-sensitive; host: 192.0.2.1 20 mixed plain",
		},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := &speller{zone: dnstest.Parse(t, `
example.org.                              0   SOA  . . 1 0 0 0 0
a-very-long-host-name-of.example.org.     0   A    192.0.2.1
another-very-long-host-name.example.org.  0   A    192.0.2.2
`)}
				r := newResolver(t, Config{
					Servers: []string{"192.0.2.53:53"}, Exchange: world.exchange, CaseRandomization: CaseOn,
				})
				for step := range strings.SplitSeq(test.script, "; ") {
					spellingStep(t, r, world, step)
				}
			})
		})
	}
}

// spellingLookups are the questions of the scripts: with so many letters that none comes out in lower case.
var spellingLookups = map[string]string{
	"host":   "A a-very-long-host-name-of.example.org",
	"other":  "A another-very-long-host-name.example.org",
	"noipv6": "AAAA a-very-long-host-name-of.example.org",
	"none":   "A there-is-no-such-host-name.example.org",
}

func spellingStep(t *testing.T, r *Resolver, world *speller, step string) {
	if habit, ok := strings.CutPrefix(step, "="); ok {
		world.habit = habit
		return
	}
	if text, ok := strings.CutPrefix(step, "wait "); ok {
		pause, _ := time.ParseDuration(text)
		time.Sleep(pause)
		return
	}
	time.Sleep(time.Second) // a failure is kept for so long
	world.asked = nil
	began := time.Now()
	what, _, _ := strings.Cut(step, ":")
	result := resolve(t.Context(), r, spellingLookups[what])
	took := time.Since(began).Milliseconds()
	got := fmt.Sprintf("%s: %s %d %s", what, result, took, strings.Join(world.asked, " "))
	if got != step {
		t.Errorf("got  %s\nwant %s", got, step)
	}
}

// Many questions at once to a server that has shown nothing yet: each is answered.
func TestSpellingAtOnce(t *testing.T) {
	for _, test := range []struct {
		habit string
		plain int32 // how often that is found out
	}{{"copes", 0}, {"case-sensitive", 1}, {"lowercase", 0}, {"silent-tcp", 1}, {"refused-tcp", 1}} {
		synctest.Test(t, func(t *testing.T) {
			var zone strings.Builder
			for i := range 20 {
				fmt.Fprintf(&zone, "a-very-long-host-name-%d.example%d.org. A 192.0.2.1\n", i, i)
			}
			world := &speller{zone: dnstest.Parse(t, zone.String()), habit: test.habit}
			var plain atomic.Int32
			r := newResolver(t, Config{
				Servers: []string{"192.0.2.53:53"}, Exchange: world.exchange, CaseRandomization: CaseOn,
				OnPlain: func(string) { plain.Add(1) },
			})
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					name := fmt.Sprintf("a-very-long-host-name-%d.example%d.org", i, i)
					if got := resolve(t.Context(), r, "A "+name); got != "192.0.2.1" {
						t.Errorf("%s: %s: got %s", test.habit, name, got)
					}
				})
			}
			all.Wait()
			if plain.Load() != test.plain {
				t.Errorf("%s: OnPlain called %d times, want %d", test.habit, plain.Load(), test.plain)
			}
		})
	}
}
