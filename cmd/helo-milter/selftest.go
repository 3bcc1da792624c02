package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

type selftestCmd struct {
	ListenFor string        `placeholder:"[ADDR]:PORT" help:"Accept SMTP sessions there and judge the first HELO."`
	Wait      time.Duration `default:"5m" help:"How long to wait for it."`
	DNS       []string      `name:"dns" sep:"none" placeholder:"HOST:PORT" help:"Ask this DNS server instead of the usual ones."`
	Address   []string      `arg:"" optional:"" help:"Public addresses that send mail; default: those of this host."`
}

// Run judges a sending host as its receivers do.
func (c *selftestCmd) Run(p *program) error {
	clients, err := publicAddrs(c.Address)
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
	} else {
		good, err = q.selftest(p, clients)
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

// self is an address that mail is sent from.
type self struct {
	client netip.Addr
	record *checks.Record // of the client, without a HELO
	advice checks.Advice
}

// family is 4 or 6.
func (s *self) family() int { return s.client.BitLen() }

func (s *self) confirms(name string) bool { return slices.Contains(s.record.Facts.Confirmed(), name) }

// selftest prints the HELO name that each address should send, and what is missing for that.
func (q *inquiry) selftest(p *program, clients []netip.Addr) (good bool, err error) {
	if len(clients) == 0 {
		if clients, err = ownAddrs(); err != nil {
			return false, err
		}
		if len(clients) == 0 {
			return false, exitError{exitUsage, errors.New("this host has no public address of its own: give the " +
				"addresses that it sends mail from")}
		}
	}
	var selves []self
	for _, client := range clients {
		record := q.record(p.ctx, client, nil)
		selves = append(selves, self{client, record, checks.Advise(record, nil)})
	}
	common := commonName(selves)
	good = true
	for i, s := range selves {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if common != "" && (s.confirms(common) || !familyConfirms(selves, s.family(), common)) {
			s.advice.Name, s.advice.Example = common, false
		}
		if !s.advice.Example {
			s.record = q.record(p.ctx, s.client, nil, s.advice.Name)
			s.advice = checks.AdviseName(s.record, s.advice.Name)
		}
		good = s.report(p.stdout) && good
	}
	if common != "" {
		fmt.Fprintln(p.stdout,
			"\nA mail server sends the same HELO name over IPv4 and IPv6. Use this one for both:", common)
	}
	return good, nil
}

// commonName is the name that both families should have, which is "" where there is one only: the best of an
// address, preferably one that both confirm.
func commonName(selves []self) string {
	best, most := "", -1
	families := map[int]bool{}
	for _, s := range selves {
		families[s.family()] = true
		confirming := 0
		for _, family := range []int{32, 128} {
			if familyConfirms(selves, family, s.advice.Name) {
				confirming++
			}
		}
		if !s.advice.Example && confirming > most {
			best, most = s.advice.Name, confirming
		}
	}
	if len(families) < 2 {
		return ""
	}
	return best
}

// familyConfirms reports whether a name is confirmed for an address of the family.
func familyConfirms(selves []self, family int, name string) bool {
	return slices.ContainsFunc(selves, func(s self) bool { return s.family() == family && s.confirms(name) })
}

// report prints what there is to say about an address, and reports whether it is good.
func (s *self) report(out io.Writer) bool {
	fmt.Fprintln(out, s.client)
	paragraph(out, "  PTR   ", pointers(s.record.Facts), wide)
	name := s.advice.Name
	if s.advice.Example {
		name = "a name of its own"
	}
	switch {
	case len(s.advice.Steps) > 0:
		fmt.Fprintf(out, "  HELO  should be %s; change this:\n", name)
		advise(out, &s.advice, wide)
		return false
	case s.record.Iprev == "temperror":
		fmt.Fprintln(out, "  HELO  unknown: the DNS did not answer; try again later")
		return false
	}
	fmt.Fprintf(out, "  HELO  should be %s; nothing to change\n", name)
	return true
}
