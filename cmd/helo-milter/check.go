package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/dnscache"
)

type checkCmd struct {
	JSON bool     `xor:"output" help:"Print the decision record instead."`
	Mail bool     `xor:"output" help:"Print a text to send to the client's administrator instead."`
	Rcpt []string `sep:"none" help:"A recipient, for the rules about recipients." placeholder:"ADDR"`
	DNS  []string `name:"dns" sep:"none" help:"Ask this DNS server, not the usual ones." placeholder:"HOST:PORT"`
	All  bool     `help:"Show every rule, not only those that have something to say."`
	IP   string   `arg:"" help:"The client's address."`
	HELO string   `arg:"" name:"helo" help:"What it says in HELO or EHLO."`
}

// Run judges one client.
func (c *checkCmd) Run(p *program) error {
	client, err := netip.ParseAddr(c.IP)
	if err != nil || client.Zone() != "" {
		return exitError{exitUsage, fmt.Errorf("%q is not an IP address", c.IP)}
	}
	q, err := p.inquire(c.DNS)
	if err != nil {
		return err
	}
	ours := q.Judge
	if c.Mail { // a client that is on the allow list in spite of a wrong HELO is one to write to
		judge := *ours
		judge.Exempt = &checks.Exemptions{Private: ours.Exempt.Private}
		q.Judge = &judge
	}
	var traces traces
	ctx := dnscache.WithTrace(p.ctx, traces.add)
	d := q.decide(ctx, client.Unmap(), c.Rcpt, c.HELO)
	record := d.Record(c.All)
	switch {
	case c.JSON:
		fmt.Fprintln(p.stdout, record)
	case c.Mail:
		record.Exempt = exemption(ours, d)
		letter(p.stdout, record, q.advice(p.ctx, record))
	default:
		explain(p.stdout, record, q.advice(p.ctx, record), q.cfg.Header.Name, traces.sorted())
	}
	if record.Exempt == "" && d.Verdict.Action >= checks.TempFail {
		return exitError{code: exitBad}
	}
	return nil
}

// inquiry takes clients through the same pipe as a session of the daemon, by the DNS as it is now.
type inquiry struct {
	*checks.Judge
	cfg *config.Config
}

// inquire is an inquiry with the configuration, or with these DNS servers instead of its own.
func (p *program) inquire(dns []string) (*inquiry, error) {
	cfg, err := p.configuration()
	if err != nil {
		return nil, err
	}
	if len(dns) > 0 {
		if err := config.CheckServers(dns); err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--dns: %w", err)}
		}
		cfg.Resolver.Servers = dns
	}
	if cfg.DNS.Resolver, err = resolver(cfg); err != nil {
		return nil, err
	}
	return &inquiry{cfg.Judge, cfg}, nil
}

// exemption is why a judge does not judge the client of a decision, or "".
func exemption(j *checks.Judge, d *checks.Decision) string {
	s := j.Reopen(d.Facts)
	s.Mail(d.Time)
	s.Rcpts(d.RcptTo)
	return s.Decision().Verdict.Exempt
}

// decide judges a client that says helo. Without any, nobody knows what it says.
func (q *inquiry) decide(
	ctx context.Context, client netip.Addr, rcpts []string, helo ...string,
) *checks.Decision {
	start := time.Now()
	s := q.Open(ctx, &q.cfg.DNS, client, q.Site)
	defer s.Close()
	for _, h := range helo {
		s.Greet(checks.ParseHelo(h))
	}
	if len(helo) == 0 {
		s.Unheard()
	}
	s.Mail(start)
	s.Rcpts(rcpts)
	d := s.Decision()
	d.ID, d.RcptTo, d.Took = "check", rcpts, time.Since(start)
	d.Header = d.Verdict.Header(d.ID, d.Facts)
	return d
}

// record judges a client and writes down what speaks against it.
func (q *inquiry) record(
	ctx context.Context, client netip.Addr, rcpts []string, helo ...string,
) *checks.Record {
	return q.decide(ctx, client, rcpts, helo...).Record(false)
}

// advice is what the client of a record has to change, by what the DNS says of the name that it is to have.
func (q *inquiry) advice(ctx context.Context, r *checks.Record) checks.Advice {
	return checks.Advise(r, func(helo string) *checks.Record { return q.record(ctx, r.Client, r.RcptTo, helo) })
}

// traces are the questions to the DNS, which several goroutines ask.
type traces struct {
	mu   sync.Mutex
	list []dnscache.Trace
}

func (t *traces) add(q dnscache.Trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, q)
}

// sorted are the different ones: SPF asks again, and gets the same from the cache, which sorts last here.
func (t *traces) sorted() []dnscache.Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	question := func(q dnscache.Trace) string { return q.Type + " " + q.Name }
	slices.SortFunc(t.list, func(a, b dnscache.Trace) int {
		return cmp.Or(strings.Compare(question(a), question(b)), strings.Compare(b.Transport, a.Transport))
	})
	return slices.CompactFunc(t.list, func(a, b dnscache.Trace) bool { return question(a) == question(b) })
}
