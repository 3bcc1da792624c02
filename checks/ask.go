package checks

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ptrNames asks for the PTR names of a client: sorted, each once.
func (d asker) ptrNames(ctx context.Context, client netip.Addr) Answer[string] {
	ptrs, err := d.Resolver.LookupAddr(ctx, client.String())
	found := classifyNames(ptrs, err, func(ptr string) string { return ptr })
	slices.Sort(found.Values)
	found.Values = slices.Compact(found.Values)
	return found
}

// ptrHosts asks for the addresses of PTR names, in the client's family: RFC 8601 §2.7.3. It asks lists for
// what block lists say.
func (d asker) ptrHosts(ctx context.Context, names []string, client netip.Addr, lists asker) []Host {
	hosts := make([]Host, len(names))
	lookups := d.group()
	for i, name := range names {
		lookups.Go(func() {
			host := &hosts[i]
			host.Name, host.Addrs = name, d.addrs(ctx, network(client), name, client)
			if slices.Contains(host.Addrs.Values, client) {
				host.Lists = lists.listed(ctx, name)
			}
		})
	}
	lookups.Wait()
	return hosts
}

// foremost returns those MaxPTR of a client's PTR names that can clear it, if there are more: names and
// organisational domains that it greeted with, then names that an entry of the allow list covers. The result
// is sorted, as the names are.
func (d *DNS) foremost(names []string, greeted []*greeting) []string {
	if len(names) <= MaxPTR {
		return names
	}
	said, orgs := map[string]bool{}, map[string]bool{}
	for _, g := range greeted {
		said[g.helo().Name], orgs[orgDomain(g.helo().Name)] = true, true
	}
	delete(orgs, "") // nobody's domain
	rank := func(name string) int {
		switch {
		case said[name]:
			return 0
		case orgs[orgDomain(name)]:
			return 1
		case d.Allowed.Match(name):
			return 2
		}
		return 3
	}
	first := slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return rank(a) - rank(b) })[:MaxPTR]
	slices.Sort(first)
	return first
}

// askers are those for a greeting: for the records that can clear the client (its addresses), for SPF, and
// for all else.
type askers struct{ addrs, spf, rest asker }

// greeting asks for what there is to know of a HELO name, all at once: but for the MX, which is asked
// only when there is no address, or with the hosts, and the brand's SPF record. Neither waits for the other.
func (d *askers) greeting(ctx context.Context, g *Greeting, client netip.Addr) {
	g.MX, g.BrandSPF, g.Hosts = Answer[string]{}, Answer[string]{}, nil // which an attempt may have found
	groups := &struct{ addrs, spf, rest group }{d.rest.group(), d.rest.group(), d.rest.group()}
	addrs, spf, rest := &groups.addrs, &groups.spf, &groups.rest
	defer rest.running.Wait() // if another one panics
	defer spf.running.Wait()
	spf.Go(func() { g.SPF = d.spf.spf(ctx, g.Helo.Name, client) })
	if len(d.rest.Lists) > 0 {
		rest.Go(func() { g.Lists = d.rest.listed(ctx, g.Helo.Name) })
	}
	if d.rest.Hosts {
		rest.Go(func() { d.rest.hosts(ctx, g, client) })
	}
	addrs.Go(func() { g.A = d.addrs.addrs(ctx, "ip4", g.Helo.Name, client) })
	addrs.Go(func() { g.AAAA = d.addrs.addrs(ctx, "ip6", g.Helo.Name, client) })
	addrs.Wait()
	if g.A.Status != Found && g.AAAA.Status != Found && !d.rest.Hosts {
		rest.Go(func() { g.MX = d.rest.mx(ctx, g.Helo.Name) })
	}
	spf.Wait()
	if g.asksBrand(client) {
		g.BrandSPF = d.spf.spf(ctx, orgDomain(g.Helo.Name), client)
	}
	rest.Wait()
}

// asksBrand reports whether the name is below a brand's domain, and neither its addresses nor its SPF record
// vouch for the client.
func (g *Greeting) asksBrand(client netip.Addr) bool {
	return !slices.Contains(g.Addrs(), client) && !slices.Contains(g.SPF.Values, "pass") &&
		brandOf(g.Helo.Name) != nil && orgDomain(g.Helo.Name) != g.Helo.Name
}

// maxValues is how many values of an answer are kept: the owner of a name could fill a message of 64 KiB,
// and a session keeps up to 20 greetings.
const maxValues = 50

func cutValues[T any](a Answer[T]) Answer[T] {
	if len(a.Values) > maxValues {
		a.Values = slices.Clone(a.Values[:maxValues])
	}
	return a
}

// addrs asks for the addresses of a name. That of the client is among those that are kept.
func (d asker) addrs(ctx context.Context, network, name string, client netip.Addr) Answer[netip.Addr] {
	addrs, err := d.unfiltered(ctx, network, name)
	for i, addr := range addrs {
		addrs[i] = addr.Unmap()
	}
	found := classify(addrs, err)
	if i := slices.Index(found.Values, client); i >= maxValues {
		found.Values[0] = client
	}
	return cutValues(found)
}

// madeUp are the addresses that filtering resolvers answer with for a name that they block: the unspecified
// ones (Pi-hole's mode NULL and AdGuard's null IP, which are the defaults, Unbound's always_null, Cloudflare
// for Families), and the block pages that OpenDNS documents.
var madeUp = networks("0.0.0.0/32", "::/128", "146.112.61.104/29")

// MadeUp reports whether an address is one that filtering resolvers answer with for names that they block.
// Other filters have an address of their own, which cannot be told from a host's.
func MadeUp(addr netip.Addr) bool { return madeUp.Contains(addr.Unmap()) }

// unfiltered asks for addresses, and returns the answer without those that are made up. An answer of nothing
// else says nothing about the name: it is a failed lookup.
func (d asker) unfiltered(ctx context.Context, network, name string) ([]netip.Addr, error) {
	addrs, err := d.Resolver.LookupNetIP(ctx, network, name)
	madeUp := slices.IndexFunc(addrs, MadeUp)
	if madeUp < 0 {
		return addrs, err
	}
	first := addrs[madeUp].Unmap().String()
	if hosts := slices.DeleteFunc(addrs, MadeUp); len(hosts) > 0 {
		return hosts, err
	}
	d.report(d.Filtered, name, first)
	return nil, &net.DNSError{Err: "filtered: the resolver answers " + first, IsTemporary: true}
}

func (d asker) mx(ctx context.Context, name string) Answer[string] {
	mx, err := d.Resolver.LookupMX(ctx, name)
	return cutValues(classifyNames(mx, err, func(x *net.MX) string { return x.Host }))
}

// maxHosts is how many MX and NS hosts of a name are looked up, each: the limit of RFC 7208 §4.6.4.
const maxHosts = 10

// hosts asks for the MX and NS hosts of a HELO name and for their addresses.
func (d asker) hosts(ctx context.Context, g *Greeting, client netip.Addr) {
	lookups := d.group()
	lookups.Go(func() { g.MX = d.mx(ctx, g.Helo.Name) })
	lookups.Go(func() { g.NS = d.ns(ctx, g.Helo.Name) })
	lookups.Wait()
	for _, hosts := range [][]string{g.MX.Values, g.NS.Values} {
		for _, name := range hosts[:min(len(hosts), maxHosts)] {
			if !slices.ContainsFunc(g.Hosts, func(h Host) bool { return h.Name == name }) {
				g.Hosts = append(g.Hosts, Host{Name: name})
			}
		}
	}
	for i := range g.Hosts {
		host := &g.Hosts[i]
		lookups.Go(func() {
			v4, v6 := d.addrs(ctx, "ip4", host.Name, client), d.addrs(ctx, "ip6", host.Name, client)
			host.Addrs = Answer[netip.Addr]{
				Status: max(v4.Status, v6.Status), Values: slices.Concat(v4.Values, v6.Values),
				Stale: v4.Stale || v6.Stale,
			}
			if failed := cmp.Or(v4.Err, v6.Err); failed != "" && host.Addrs.Status != Found {
				host.Addrs.Status, host.Addrs.Err = Failed, failed
			}
		})
	}
	lookups.Wait()
}

// maxClimb is how many labels below its organisational domain a name's zone is searched for.
const maxClimb = 4

// ns asks for the name servers of the zone that a name is in: it climbs to its organisational domain.
func (d asker) ns(ctx context.Context, name string) Answer[string] {
	org := cmp.Or(orgDomain(name), name)
	for strings.Count(name, ".") > strings.Count(org, ".")+maxClimb {
		_, name, _ = strings.Cut(name, ".")
	}
	for {
		ns, err := d.Resolver.LookupNS(ctx, name)
		found := cutValues(classifyNames(ns, err, func(x *net.NS) string { return x.Host }))
		if found.Status != Missing || name == org {
			return found
		}
		_, name, _ = strings.Cut(name, ".")
	}
}

// listed asks the block lists for the organisational domain of a name.
func (d asker) listed(ctx context.Context, name string) Answer[string] {
	if len(d.Lists) == 0 {
		return Answer[string]{}
	}
	domain := orgDomain(name)
	if domain == "" {
		return Answer[string]{}
	}
	answers := make([]Answer[netip.Addr], len(d.Lists))
	lookups := d.group()
	for i, list := range d.Lists {
		lookups.Go(func() { answers[i] = d.addrs(ctx, "ip4", domain+"."+list, netip.Addr{}) })
	}
	lookups.Wait()
	all := Answer[string]{Status: Missing}
	for i, a := range answers {
		if bad := slices.IndexFunc(a.Values, noListing); bad >= 0 {
			a = Answer[netip.Addr]{Status: Failed, Err: "the list says " + a.Values[bad].String()}
			d.report(d.Trouble, d.Lists[i], answers[i].Values[bad].String())
		}
		switch a.Status {
		case Found:
			all.Values = append(all.Values, d.Lists[i])
			all.Stale = all.Stale || a.Stale
		case Failed:
			all.Err = d.Lists[i] + ": " + a.Err
		}
	}
	switch {
	case len(all.Values) > 0:
		all.Status, all.Err = Found, ""
	case all.Err != "":
		all.Status = Failed
	}
	return all
}

// listings and listErrors: an answer of a list is in 127/8 (RFC 5782 §2.3); 127.255.255.0/24 is how
// lists say that they do not answer, and 127.0.0.1 is never on one (§5) but is some lists' way to say
// that a resolver is not welcome. Anything else comes from a list that has ended, or from a resolver
// that makes up answers.
var (
	listings   = netip.MustParsePrefix("127.0.0.0/8")
	listErrors = networks("127.255.255.0/24", "127.0.0.1/32")
)

func noListing(addr netip.Addr) bool { return !listings.Contains(addr) || listErrors.Contains(addr) }

func network(client netip.Addr) string {
	if client.Is4() {
		return "ip4"
	}
	return "ip6"
}

// classifyNames is classify for records of host names. The root is nobody's name: a PTR or NS record of it
// says no more than none would, and an MX record of it says that there is none (the null MX of RFC 7505).
func classifyNames[R any](records []R, err error, host func(R) string) Answer[string] {
	var names []string
	for _, r := range records {
		if name := Canonical(host(r)); strings.Trim(name, ".") != "" {
			names = append(names, name)
		}
	}
	return classify(names, err)
}

// classify sorts what the resolver returned, values in their canonical form. It is the only place
// that knows of DNS errors. What comes with an error in spite of it is stale.
func classify[T any](values []T, err error) Answer[T] {
	dnsErr, _ := errors.AsType[*net.DNSError](err)
	switch {
	case len(values) > 0:
		return Answer[T]{Status: Found, Values: values, Stale: err != nil}
	case err == nil || dnsErr != nil && dnsErr.IsNotFound:
		return Answer[T]{Status: Missing}
	case dnsErr != nil:
		return Answer[T]{Status: Failed, Err: dnsErr.Err}
	default:
		return Answer[T]{Status: Failed, Err: err.Error()}
	}
}
