package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
)

// spf asks what the SPF record of a HELO name says of the client: RFC 7208 §2.3. The record is whatever the
// name's owner writes: if the library cannot bear it, that is no answer, and the daemon goes on.
func (d asker) spf(ctx context.Context, name string, client netip.Addr) (a Answer[string]) {
	defer func() {
		if p := recover(); p != nil {
			a = Answer[string]{Status: Failed, Err: fmt.Sprint("internal error: ", p)}
		}
	}()
	texts, err := d.Resolver.LookupTXT(ctx, name)
	if isMissing(err) || err == nil && !slices.ContainsFunc(texts, isSPF) {
		return Answer[string]{Status: Missing} // as most names do: the library would say the same, later
	}
	resolver := &spfResolver{dns: d, client: client, name: name, texts: texts, err: err}
	result, err := spf.CheckHostWithSender(client.AsSlice(), name, "postmaster@"+name,
		spf.WithContext(ctx), spf.WithResolver(resolver))
	if resolver.failed != nil && result != spf.Pass && result != spf.PermError {
		result, err = spf.TempError, resolver.failed
	}
	switch result {
	case spf.None:
		return Answer[string]{Status: Missing}
	case spf.TempError, spf.PermError:
		a = Answer[string]{Status: Failed, Err: string(result)}
		if dnsErr, ok := errors.AsType[*net.DNSError](err); ok {
			a.Err += ": " + dnsErr.Err
		}
		return a
	default:
		return Answer[string]{Status: Found, Values: []string{string(result)}, Stale: resolver.stale}
	}
}

// spfResolver is a Resolver as the SPF library wants it: one that asks one question at a time, and knows no
// stale answers. What was drawn from one is stale itself. To the library, as in RFC 7208 §5.5, a failed lookup
// is no match of the mechanism ptr. It may have been one, so that such a result clears, and says nothing else.
type spfResolver struct {
	dns    asker
	client netip.Addr
	name   string // that is judged, and the answer to the first question for its texts
	texts  []string
	err    error
	stale  bool
	failed error // the last failure
}

// isSPF reports whether a text may be an SPF record: RFC 7208 §4.5. The library looks again.
func isSPF(text string) bool { return len(text) >= 6 && strings.EqualFold(text[:6], "v=spf1") }

// accept takes a stale answer for an answer, and remembers that there was one, or a failure.
func accept[T any](r *spfResolver, values []T, err error) ([]T, error) {
	switch {
	case err == nil || isMissing(err):
	case len(values) > 0:
		r.stale, err = true, nil
	default:
		r.failed = err
	}
	return values, err
}

func (r *spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	texts, err := r.texts, r.err
	if r.name == "" || name != r.name {
		texts, err = r.dns.Resolver.LookupTXT(ctx, name)
	}
	r.name = ""
	return accept(r, texts, err)
}

func (r *spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	mx, err := r.dns.Resolver.LookupMX(ctx, name)
	return accept(r, mx, err)
}

func (r *spfResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	names, err := r.dns.Resolver.LookupAddr(ctx, addr)
	return accept(r, names, err)
}

// LookupIPAddr asks for the addresses that RFC 7208 §5 wants: A for an IPv4 client. For an IPv6 client it is
// AAAA, but §5.7 (exists) has A. The library does not say which it needs, and the other family's addresses never
// match; so one family's failure is none if the other has the client.
func (r *spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	found, err := r.family(ctx, "ip4", host)
	if r.client.Is4() {
		return found, err
	}
	more, err6 := r.family(ctx, "ip6", host)
	found = append(found, more...)
	switch {
	case slices.ContainsFunc(more, func(a net.IPAddr) bool { return a.IP.Equal(r.client.AsSlice()) }):
		return found, nil
	case err != nil && !isMissing(err):
		return found, err
	case err6 != nil && !isMissing(err6):
		return found, err6
	case len(found) > 0:
		return found, nil
	default:
		return nil, err
	}
}

func isMissing(err error) bool {
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	return ok && dnsErr.IsNotFound
}

func (r *spfResolver) family(ctx context.Context, network, host string) ([]net.IPAddr, error) {
	addrs, err := r.dns.unfiltered(ctx, network, host)
	addrs, err = accept(r, addrs, err)
	found := make([]net.IPAddr, len(addrs))
	for i, a := range addrs {
		found[i].IP = a.AsSlice()
	}
	return found, err
}
