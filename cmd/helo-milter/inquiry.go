package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/dnscache"
)

// inquiry judges clients as a session of the daemon does, by the DNS as it is now.
type inquiry struct {
	*checks.Judge
	cfg      *config.Config
	resolver *dnscache.Resolver
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
	resolver, err := resolver(cfg)
	if err != nil {
		return nil, err
	}
	cfg.DNS = *cfg.Asking(resolver)
	return &inquiry{cfg.Judge, cfg, resolver}, nil
}

// decide judges a client that sends these HELO names. Without any, its HELO is unknown.
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
