package console

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"helo-milter/checks"
)

// filter is which decisions a page shows. The zero filter is all.
type filter struct {
	Want   string // exempt, accept, tempfail or reject; "refuse" is the last two
	Rule   string // that failed, or was unsure
	Client netip.Prefix
	Helo   string // a part of it, in any case
	PTR    string // a part of a name
	Domain string // of a recipient
	Host   string // of the fleet, or the name of the MTA

	client string // as it was given
}

// filterOf reads a filter from an address. The error says what is wrong with it.
func filterOf(q url.Values) (f filter, err error) {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f = filter{
		Want: text("want"), Rule: text("rule"), Helo: lower(text("helo")), PTR: lower(text("ptr")),
		Domain: lower(strings.TrimPrefix(text("domain"), "@")), Host: lower(text("host")), client: text("client"),
	}
	if f.Want != "" && !slices.Contains(wants, f.Want) {
		return f, fmt.Errorf("%q is not one of %s", f.Want, strings.Join(wants, ", "))
	}
	if f.Rule != "" && checks.Index(f.Rule) < 0 {
		return f, fmt.Errorf("%q is not the name of a rule", f.Rule)
	}
	if f.client != "" {
		f.Client, err = network(f.client)
	}
	return f, err
}

// wants are the values of filter.Want.
var wants = []string{"refuse", "reject", "tempfail", "accept", "exempt"}

// network reads an address or a network; what is behind the slash of a network counts no more than it should.
func network(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a network, such as 192.0.2.0/24", text)
	}
	if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 { // clients are unmapped
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Empty reports whether it is all decisions.
func (f *filter) Empty() bool { return *f == filter{} }

// Text is what was given for the client.
func (f *filter) Text() string { return f.client }

// with is the filter in an address, with more keys and values.
func (f *filter) with(more ...string) string {
	q := url.Values{}
	for _, part := range [][2]string{
		{"want", f.Want},
		{"rule", f.Rule},
		{"client", f.client},
		{"helo", f.Helo},
		{"ptr", f.PTR},
		{"domain", f.Domain},
		{"host", f.Host},
	} {
		if part[1] != "" {
			q.Set(part[0], part[1])
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q.Encode()
}

// choices are those of the form of a filter.
type choices struct {
	Fleet bool
	Hosts []string // of the fleet
}

func (c *Console) choices() choices {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tail == nil {
		return choices{}
	}
	return choices{true, c.tail.known()}
}

// Wants are what can be wanted.
func (choices) Wants() []string { return wants }

// Rules are those that a decision can have.
func (choices) Rules() (names []string) {
	for i := range checks.All {
		names = append(names, checks.All[i].Name)
	}
	return names
}

// match reports whether a decision of a host is to be shown.
func (f *filter) match(host string, r *checks.Record) bool {
	switch {
	case f.Want == "refuse" && r.Verdict.Want != "reject" && r.Verdict.Want != "tempfail":
		return false
	case f.Want != "" && f.Want != "refuse" && r.Verdict.Want != f.Want:
		return false
	case f.Rule != "" && !slices.ContainsFunc(r.Findings, func(found checks.RuleFinding) bool { return found.Rule == f.Rule }):
		return false
	case f.Client.IsValid() && !f.Client.Contains(r.Client):
		return false
	case f.Helo != "" && !slices.ContainsFunc(r.Helos, func(h checks.Helo) bool { return contains(h.Raw, f.Helo) }):
		return false
	case f.PTR != "" && !slices.ContainsFunc(r.Facts.PTR.Values, func(h checks.Host) bool { return contains(h.Name, f.PTR) }):
		return false
	case f.Domain != "" && !slices.ContainsFunc(r.RcptTo, func(to string) bool { return domainOf(to) == f.Domain }):
		return false
	case f.Host != "" && f.Host != lower(host) && f.Host != lower(r.MTA):
		return false
	}
	return true
}

// contains reports whether a text has a part, which is in lower case.
func contains(text, part string) bool { return strings.Contains(lower(text), part) }

// lower is a text with the letters of ASCII in lower case. Others stay: textOfLine reads bytes, and has to find what match
// does, but strings.ToLower makes a "k" of the Kelvin sign.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, text)
}

func domainOf(rcpt string) string {
	return lower(strings.TrimSuffix(rcpt[strings.LastIndexByte(rcpt, '@')+1:], ">"))
}
