package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"helo-milter/checks"
	"helo-milter/dnscache"
)

type checkCmd struct {
	JSON bool     `help:"Print the decision record instead."`
	Rcpt []string `sep:"none" help:"A recipient, for the rules about recipients." placeholder:"ADDR"`
	DNS  []string `name:"dns" help:"Ask this DNS server instead of the configured ones." placeholder:"HOST:PORT"`
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
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if len(c.DNS) > 0 {
		if err := servers(c.DNS); err != nil {
			return exitError{exitUsage, fmt.Errorf("--dns: %w", err)}
		}
		cfg.DNS.Servers = c.DNS
	}
	policy := cfg.policy()
	decision, questions, err := c.judge(p, cfg, policy, client.Unmap())
	if err != nil {
		return err
	}
	record := policy.Record(decision, c.All)
	if c.JSON {
		fmt.Fprintln(p.stdout, record)
	} else {
		explain(p.stdout, record, cfg, questions)
	}
	if decision.Verdict.Action >= checks.TempFail {
		return exitError{code: exitBad}
	}
	return nil
}

// judge takes one client through the same pipe as a session of the daemon.
func (c *checkCmd) judge(
	p *program, cfg *Config, policy *checks.Policy, client netip.Addr,
) (*checks.Decision, []dnscache.Trace, error) {
	resolver, err := dnscache.New(dnscache.Config{
		Servers: cfg.DNS.Servers, Timeout: time.Duration(cfg.Timeout),
		CaseRandomization: cfg.DNS.CaseRandomization,
	})
	if err != nil {
		return nil, nil, exitError{exitConfig, fmt.Errorf("dns: %w", err)}
	}
	var questions []dnscache.Trace
	var tracing sync.Mutex
	ctx := dnscache.WithTrace(p.ctx, func(t dnscache.Trace) {
		tracing.Lock()
		defer tracing.Unlock()
		questions = append(questions, t)
	})
	start, exempt := time.Now(), cfg.exemptions()
	reason := exempt.Client(client)
	dns := cfg.dns(resolver, nil)
	if reason != "" {
		dns = nil
	}
	lookups := checks.NewLookups(ctx, dns, client, cfg.site())
	defer lookups.Close()
	lookups.Greet(checks.ParseHelo(c.HELO))
	d := &checks.Decision{
		ID: "check", MTA: cfg.Site.Hostname, RcptTo: c.Rcpt, HelpURL: cfg.HelpURL, Time: start,
		Facts: lookups.Facts(), Took: time.Since(start),
	}
	if reason = cmp.Or(reason, exempt.Listed(d.Facts, start)); reason != "" {
		d.Verdict = checks.Verdict{Exempt: reason, Mode: policy.Mode}
	} else {
		deny := cfg.deny()
		d.Findings = checks.Evaluate(d.Facts, deny, "")
		for _, rcpt := range c.Rcpt {
			d.Findings = checks.Worst(d.Findings, checks.Evaluate(d.Facts, deny, checks.Domain(rcpt)))
		}
		d.Verdict = policy.Judge(d.Findings)
	}
	d.Did, d.Header = d.Verdict.Did(), policy.Header(d.ID, d.Facts, d.Findings, &d.Verdict)
	slices.SortFunc(questions, func(a, b dnscache.Trace) int {
		return strings.Compare(a.Type+a.Name, b.Type+b.Name)
	})
	return d, questions, nil
}

// explain prints a record for people: to us what was found, to the client's administrator what to do.
func explain(out io.Writer, r *checks.Record, cfg *Config, questions []dnscache.Trace) {
	fmt.Fprintf(out, "client   %s\nHELO     %q\niprev    %s\n", r.Client, r.Helo.Raw, r.Iprev)
	if r.Exempt != "" {
		fmt.Fprintf(out, "exempt   %s: this client is not judged\n", r.Exempt)
		return
	}
	fmt.Fprintln(out, "\nDNS")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, q := range questions {
		result := q.Rcode
		if failure := new(net.DNSError); (result == "" || result == "NOERROR") && errors.As(q.Err, &failure) {
			result = failure.Err
		}
		from := q.Server + " " + q.Transport
		if q.Stale {
			from += " stale"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\tTTL %v\t%.1f ms\t%s\n", q.Type, q.Name, result,
			strings.Join(q.Values, " "), q.TTL, float64(q.Took.Microseconds())/1000, from)
	}
	w.Flush()
	fmt.Fprintln(out, "\nrules")
	for _, f := range r.Findings {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%.1f\t%q\n", f.Rule, f.Result, f.Action, f.Score, f.Detail)
	}
	w.Flush()
	if len(r.Findings) == 0 {
		fmt.Fprintln(out, "  nothing is wrong")
	}
	explainVerdict(out, r, cfg)
}

func explainVerdict(out io.Writer, r *checks.Record, cfg *Config) {
	fmt.Fprintf(out, "\nverdict  %s", r.Verdict.Want)
	if r.Verdict.Reply != "" {
		fmt.Fprintf(out, " because of %s", r.Verdict.Rule)
	}
	fmt.Fprintf(out, ", score %.1f (observe: accept, enforce: %s)\n", r.Verdict.Score, r.Verdict.Want)
	if r.Verdict.Reply != "" {
		fmt.Fprintf(out, "reply    %s\n", strings.ReplaceAll(r.Verdict.Reply, "\n", "\n         "))
	}
	fmt.Fprintf(out, "header   %s: %s\n", cfg.Header.Name, r.Header)
	fixes := advice(r)
	if len(fixes) > 0 {
		fmt.Fprintf(out, "\nWhat the administrator of %s has to change\n", r.Client)
	}
	for i, fix := range fixes {
		fmt.Fprintf(out, "  %d. %s\n", i+1, fix)
	}
}

// advice is what there is to change, in the table's order. Where the client has a name that its address
// confirms, to say that one in HELO comes first: it is the whole cure of most. A name that was made from the
// address cures nothing.
func advice(r *checks.Record) []string {
	var fixes []string
	generic := false
	for _, f := range r.Findings {
		generic = generic || f.Rule == "ptr-generic" && f.Result == checks.Fail
		if fix := checks.All[checks.Index(f.Rule)].Fix; f.Result == checks.Fail && !slices.Contains(fixes, fix) {
			fixes = append(fixes, fix)
		}
	}
	confirmed := r.Facts.Confirmed()
	if len(fixes) > 0 && len(confirmed) > 0 && !generic && !slices.Contains(confirmed, r.Helo.Name) {
		say := fmt.Sprintf("Set the HELO name to %s: DNS confirms that it is %s.", confirmed[0], r.Client)
		fixes = slices.Insert(fixes, 0, say)
	}
	return fixes
}
