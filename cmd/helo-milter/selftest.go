package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/explain"
	"helo-milter/cmd/helo-milter/internal/sentinel"
)

type selftestCmd struct {
	ListenFor string        `placeholder:"[ADDR]:PORT" help:"Accept SMTP sessions there and judge the first HELO."`
	Wait      time.Duration `default:"5m" help:"How long to wait for it."`
	Watch     bool          `help:"Look again and again, and print a line when an address becomes wrong, or right again."`
	Every     time.Duration `default:"15m" help:"How often, at least 1s."`
	DNS       []string      `name:"dns" sep:"none" placeholder:"HOST:PORT" help:"Ask this DNS server instead of the usual ones."`
	Address   []string      `arg:"" optional:"" help:"Public addresses that send mail; default: those of this host."`
}

// Run judges a sending host as its receivers do.
func (c *selftestCmd) Run(p *program) error {
	clients, err := publicAddrs(c.Address)
	if err == nil && c.Watch && (c.ListenFor != "" || c.Every < time.Second) {
		err = errors.New("--watch goes without --listen-for, and --every is at least 1s")
	}
	if err != nil {
		return exitError{exitUsage, err}
	}
	q, err := p.inquire(c.DNS)
	if err != nil {
		return err
	}
	judge := *q.Judge
	judge.Exempt, judge.Site = &checks.Exemptions{}, checks.Site{} // as other hosts see this one
	q.Judge = &judge
	var good bool
	if c.ListenFor != "" {
		good, err = c.listen(p, q, clients)
	} else if clients, err = selfAddrs(clients); err == nil && c.Watch {
		good = c.watch(p, q, clients)
	} else if err == nil {
		good = q.selftest(p, clients)
	}
	if err == nil && !good {
		err = exitError{code: exitBad}
	}
	return err
}

// publicAddrs reads addresses that receivers of mail can see.
func publicAddrs(texts []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("%q is not an IP address", text)
		}
		if addr = addr.Unmap(); !checks.Public(addr) {
			return nil, fmt.Errorf("%s is not public: give the address that other hosts see", addr)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// ownAddrs are the public addresses of this host. Behind a NAT it has none.
func ownAddrs() ([]netip.Addr, error) {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(n.String())
		if addr := prefix.Addr().Unmap(); err == nil && checks.Public(addr) && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// selfAddrs are the addresses given, or else those of this host.
func selfAddrs(clients []netip.Addr) ([]netip.Addr, error) {
	if len(clients) > 0 {
		return clients, nil
	}
	clients, err := ownAddrs()
	if err == nil && len(clients) == 0 {
		err = exitError{exitUsage, errors.New("this host has no public address of its own: give the " +
			"addresses that it sends mail from")}
	}
	return clients, err
}

// selftest prints the HELO name that each address should send, and what is missing for that.
func (q *inquiry) selftest(p *program, clients []netip.Addr) (good bool) {
	selves, common := sentinel.NewObserver(q.Judge, &q.cfg.DNS).Look(p.ctx, clients)
	good = true
	for i, s := range selves {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		good = reportSelf(p.stdout, &s) && good
	}
	if common != "" {
		fmt.Fprintln(p.stdout,
			"\nA mail server sends the same HELO name over IPv4 and IPv6. Use this one for both:", common)
	}
	return good
}

// reportSelf prints what there is to say about an address, and reports whether it is good.
func reportSelf(out io.Writer, s *sentinel.Self) bool {
	fmt.Fprintln(out, s.Client)
	explain.Paragraph(out, "  PTR   ", explain.Pointers(s.Record.Facts), explain.Wide)
	name := s.Advice.Name
	if s.Advice.Example {
		name = "a name of its own"
	}
	switch {
	case len(s.Advice.Steps) > 0: // also where it is not certain that they are needed
		fmt.Fprintf(out, "  HELO  should be %s; change this:\n", name)
		explain.Steps(out, &s.Advice, explain.Wide)
		return false
	case s.State == sentinel.Unknown:
		fmt.Fprintln(out, "  HELO  unknown: the DNS did not answer; try again later")
		return false
	}
	fmt.Fprintf(out, "  HELO  should be %s; nothing to change\n", name)
	return true
}

// watch prints a line when an address has become wrong, or right again, until the context ends. It reports whether
// none was wrong then.
func (c *selftestCmd) watch(p *program, q *inquiry, clients []netip.Addr) bool {
	dns := q.cfg.DNS
	dns.Attempt = nil
	dns.ForClient = func(client netip.Addr, b *checks.Budget) checks.Resolver { return q.resolver.Anew(client, b) }
	w := sentinel.NewWatch(c.Every)
	w.OnEdge = func(s sentinel.Self) {
		line := "ok"
		if s.State == sentinel.Wrong {
			line = strings.TrimSpace("wrong: " + s.Rules() + " " + s.Steps())
		}
		fmt.Fprintln(p.stdout, time.Now().UTC().Format(time.RFC3339), s.Client, clean.Terminal(line))
	}
	w.Configure(sentinel.NewObserver(q.Judge, &dns), clients)
	w.Run(p.ctx)
	for _, known := range w.Known() {
		if known.State == sentinel.Wrong {
			return false
		}
	}
	return true
}
