package dnscache

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestTrace(t *testing.T) {
	for _, test := range []struct{ lookup, first, second string }{
		{
			"A MX.example.org",
			"mx.example.org. A 192.0.2.53:53 udp NOERROR 1m0s 100ms 192.0.2.1",
			"mx.example.org. A - cache NOERROR 50s 0s 192.0.2.1",
		},
		{
			"PTR 192.0.2.1",
			"1.2.0.192.in-addr.arpa. PTR 192.0.2.53:53 udp NXDOMAIN 5m0s 100ms NXDOMAIN",
			"1.2.0.192.in-addr.arpa. PTR 192.0.2.53:53 cache NXDOMAIN 4m50s 0s NXDOMAIN",
		},
		{
			"AAAA mx.example.org",
			"mx.example.org. AAAA 192.0.2.53:53 udp NODATA 5m0s 100ms NODATA",
			"mx.example.org. AAAA 192.0.2.53:53 cache NODATA 4m50s 0s NODATA",
		},
		{
			"TXT mx.example.org",
			`mx.example.org. TXT 192.0.2.53:53 udp NOERROR 1m0s 100ms "v=spf1 -all" "\x1b"`,
			`mx.example.org. TXT - cache NOERROR 50s 0s "v=spf1 -all" "\x1b"`,
		},
		{
			"NS mx.example.org",
			"mx.example.org. NS 192.0.2.53:53 udp NOERROR 1m0s 100ms ns.example.org. ns2.example.org.",
			"mx.example.org. NS - cache NOERROR 50s 0s ns.example.org. ns2.example.org.",
		},
		{
			"A refused.example.org", // expired by the second time, and then kept longer
			"refused.example.org. A 192.0.2.53:53 udp REFUSED 1s 100ms REFUSED",
			"refused.example.org. A 192.0.2.53:53 udp REFUSED 2s 100ms REFUSED",
		},
		{
			"A loop.example.org",
			"loop.example.org. A 192.0.2.53:53 udp NOERROR 1s 100ms CNAME chain too long",
			"loop.example.org. A 192.0.2.53:53 udp NOERROR 2s 100ms CNAME chain too long",
		},
		{
			"A a..b",
			"a..b A - - - 0s 0s not a DNS name",
			"a..b A - - - 0s 0s not a DNS name",
		},
	} {
		t.Run(test.lookup, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := countingResolver(t, `
mx.example.org.   60 A     192.0.2.1
mx.example.org.      TXT   "v=spf1" " -all"
mx.example.org.      TXT   "\027"
mx.example.org.      NS    ns.example.org.
mx.example.org.      NS    ns2.example.org.
loop.example.org.    CNAME loop.example.org.
`, func(m *dns.Msg) {
					if m.Question[0].Name == "refused.example.org." {
						m.Rcode = dns.RcodeRefused
					}
				})
				for _, want := range []string{test.first, test.second} {
					var got []string
					resolve(WithTrace(t.Context(), func(trace Trace) { got = append(got, line(trace)) }), r, test.lookup)
					if len(got) != 1 || got[0] != want {
						t.Errorf("got %q\nwant [%q]", got, want)
					}
					time.Sleep(10 * time.Second)
				}
			})
		})
	}
}

func TestTraceOfCallerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := countingResolver(t, "", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var got string
		resolve(WithTrace(ctx, func(trace Trace) { got = line(trace) }), r, "A mx.example.org")
		if want := "mx.example.org. A - - - 0s 1ms timeout"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		time.Sleep(time.Second) // the query ends
	})
}

// line returns a trace as one line, with a dash for what is empty and the text of the error at the end.
func line(t Trace) string {
	words := []string{t.Name, t.Type, t.Server, t.Transport, t.Rcode, t.TTL.String(), t.Took.String()}
	for i := range words {
		words[i] = cmp.Or(words[i], "-")
	}
	words = append(words, t.Values...)
	var e *net.DNSError
	if errors.As(t.Err, &e) {
		words = append(words, e.Err)
	}
	return strings.Join(words, " ")
}
