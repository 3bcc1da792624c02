package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"helo-milter/dnscache/dnstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func newResolver(t testing.TB, cfg Config) *Resolver {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolverOf returns a resolver that asks a server with this zone, and the server.
func resolverOf(t testing.TB, zone string, cfg Config) (*Resolver, *dnstest.Server) {
	t.Helper()
	server := dnstest.Start(t, zone)
	cfg.Servers = []string{server.Addr()}
	return newResolver(t, cfg), server
}

// resolve does the lookup "TYPE NAME" and returns its result as one line: the values, and the text and the
// kinds of the error.
func resolve(ctx context.Context, r *Resolver, lookup string) string {
	qtype, name, _ := strings.Cut(lookup, " ")
	var result []string
	var err error
	switch qtype {
	case "A", "AAAA":
		var addrs []netip.Addr
		addrs, err = r.LookupNetIP(ctx, map[string]string{"A": "ip4", "AAAA": "ip6"}[qtype], name)
		for _, addr := range addrs {
			result = append(result, addr.String())
		}
	case "PTR":
		result, err = r.LookupAddr(ctx, name)
	case "MX":
		var mxs []*net.MX
		mxs, err = r.LookupMX(ctx, name)
		for _, mx := range mxs {
			result = append(result, fmt.Sprintf("%d:%s", mx.Pref, mx.Host))
		}
	case "NS":
		var nss []*net.NS
		nss, err = r.LookupNS(ctx, name)
		for _, ns := range nss {
			result = append(result, ns.Host)
		}
	case "TXT":
		var texts []string
		texts, err = r.LookupTXT(ctx, name)
		for _, text := range texts {
			result = append(result, strconv.Quote(text))
		}
	}
	if err != nil {
		result = append(result, describe(err))
	}
	return strings.Join(result, " ")
}

func describe(err error) string {
	var e *net.DNSError
	if !errors.As(err, &e) {
		return fmt.Sprintf("%T", err)
	}
	text := e.Err
	if e.IsNotFound {
		text += ", not found"
	}
	if e.IsTemporary {
		text += ", temporary"
	}
	if e.IsTimeout {
		text += ", timeout"
	}
	return text
}
