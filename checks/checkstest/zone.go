package checkstest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Zone is a checks.Resolver that answers from a zone text, see the package comment. Its keys are "TYPE NAME."
// with values as in a zone text; those of the type "dnstest" are misbehaviours, "WORD TYPE".
type Zone map[string][]string

// Parse reads a zone text. An error in it fails the test, and so does a misbehaviour that there is not.
func Parse(t testing.TB, text string) Zone {
	t.Helper()
	z := Zone{}
	z.Add(t, text)
	return z
}

// Add adds the records of a zone text.
func (z Zone) Add(t testing.TB, text string) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "zone text")
	parser.SetDefaultTTL(300)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		qtype := dns.TypeToString[rr.Header().Rrtype]
		value := strings.TrimPrefix(rr.String(), rr.Header().String())
		if txt, ok := rr.(*dns.TXT); ok {
			value = strings.Join(txt.Txt, "")
			if words := txt.Txt; len(words) > 1 && words[0] == "dnstest" {
				if behaviours[words[1]] == nil {
					t.Fatalf("no such misbehaviour: %s", rr)
				}
				qtype, value = "dnstest", strings.Join(words[1:], " ")
			}
		}
		k := key(qtype, rr.Header().Name)
		z[k] = append(z[k], value)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
}

// Set replaces the records of a name or address and a type. The values are what a lookup returns, be they fit
// for a zone or not.
func (z Zone) Set(owner, qtype string, values ...string) { z[key(qtype, owner)] = values }

// key takes an address for its reverse name.
func key(qtype, owner string) string {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(owner, ".")); err == nil {
		owner, _ = dns.ReverseAddr(addr.String())
	}
	return qtype + " " + dns.CanonicalName(owner)
}

// behaviours are the words of the package comment.
var behaviours = map[string]func(ctx context.Context, question string, values []string) ([]string, error){
	"servfail": func(_ context.Context, question string, _ []string) ([]string, error) {
		return nil, &net.DNSError{Err: "SERVFAIL", Name: question, IsTemporary: true}
	},
	"stale": func(_ context.Context, question string, values []string) ([]string, error) {
		return values, &net.DNSError{Err: "stale", Name: question, IsNotFound: len(values) == 0}
	},
	"drop": func(ctx context.Context, _ string, _ []string) ([]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	},
	"panic": func(_ context.Context, question string, _ []string) ([]string, error) { panic(question) },
}

func (z Zone) lookup(ctx context.Context, qtype, owner string) ([]string, error) {
	question, values := qtype+" "+strings.TrimSuffix(owner, "."), z[key(qtype, owner)]
	for _, misbehaviour := range z[key("dnstest", owner)] {
		word, only, limited := strings.Cut(misbehaviour, " ")
		if !limited || only == qtype {
			return behaviours[word](ctx, question, values)
		}
	}
	if len(values) == 0 {
		return nil, &net.DNSError{Err: "NXDOMAIN", Name: question, IsNotFound: true}
	}
	return values, nil
}

// LookupAddr implements checks.Resolver.
func (z Zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return z.lookup(ctx, "PTR", addr)
}

// LookupNetIP implements checks.Resolver.
func (z Zone) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	texts, err := z.lookup(ctx, map[string]string{"ip4": "A", "ip6": "AAAA"}[network], host)
	return each(texts, netip.MustParseAddr), err
}

// LookupMX implements checks.Resolver.
func (z Zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	texts, err := z.lookup(ctx, "MX", name)
	return each(texts, func(text string) *net.MX {
		mx := new(net.MX)
		if _, err := fmt.Sscan(text, &mx.Pref, &mx.Host); err != nil {
			panic(err)
		}
		return mx
	}), err
}

// LookupNS implements checks.Resolver.
func (z Zone) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	texts, err := z.lookup(ctx, "NS", name)
	return each(texts, func(host string) *net.NS { return &net.NS{Host: host} }), err
}

// LookupTXT implements checks.Resolver.
func (z Zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return z.lookup(ctx, "TXT", name)
}

func each[T any](texts []string, parse func(string) T) []T {
	values := make([]T, len(texts))
	for i, text := range texts {
		values[i] = parse(text)
	}
	return values
}
