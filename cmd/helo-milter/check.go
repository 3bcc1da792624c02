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

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/explain"
	"helo-milter/dnscache"
)

type checkCmd struct {
	JSON bool     `xor:"output" help:"Print the decision record instead."`
	Mail bool     `xor:"output" help:"Print a message to the client's administrator instead."`
	Rcpt []string `sep:"none" help:"A recipient, for the rules about recipients." placeholder:"ADDR"`
	DNS  []string `name:"dns" sep:"none" help:"Ask this DNS server instead of the usual ones." placeholder:"HOST:PORT"`
	All  bool     `help:"Show every rule, not only those that fail or are unsure."`
	IP   string   `arg:"" help:"The client's address."`
	HELO string   `arg:"" name:"helo" help:"The name that it sends in HELO or EHLO."`
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
	end, err := askCensus(q.cfg)
	if err != nil {
		return err
	}
	defer end()
	p.link(q.cfg)
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
		if ours := ours.Again(record); ours.Exempt != "" {
			record.Exempt = ours.Exempt
		} else {
			record = ours
		}
		explain.Letter(p.stdout, record, q.advice(p.ctx, record))
	default:
		explain.Record(coloured(p.stdout), record, q.advice(p.ctx, record), q.cfg.Header.Name, traces.explain)
		p.explainEntry(q.Exempt, record)
	}
	if record.Exempt == "" && record.Verdict.Want != "accept" {
		return exitError{code: exitBad}
	}
	return nil
}

// explainEntry says which entry of the allow list exempts a client, and whose it is.
func (p *program) explainEntry(e *checks.Exemptions, r *checks.Record) {
	entry, _ := e.Entry(r.Facts, r.Time)
	if r.Exempt != checks.AllowList || entry == nil {
		return
	}
	text := entry.Clients() + ", of the configuration"
	if entry.Who != "" {
		text = entry.Clients() + ", of the list, by " + entry.Who
	}
	if entry.Reason != "" {
		text += ": " + entry.Reason
	}
	explain.Paragraph(p.stdout, "entry    ", clean.Terminal(text), explain.Wide)
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

// explain prints them.
func (t *traces) explain(out io.Writer) {
	for _, q := range t.sorted() {
		explainQuestion(out, &q)
	}
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

// explainQuestion prints one of them, with its answer.
func explainQuestion(out io.Writer, q *dnscache.Trace) {
	result := q.Rcode
	if failure := new(net.DNSError); (result == "" || result == "NOERROR") && errors.As(q.Err, &failure) {
		result = failure.Err
	}
	genuine := func(value string) bool {
		addr, err := netip.ParseAddr(value)
		return err != nil || !checks.MadeUp(addr)
	}
	if len(q.Values) > 0 && !slices.ContainsFunc(q.Values, genuine) {
		result += ", but the resolver filters: a failed lookup"
	}
	from := strings.TrimSpace(q.Server + " " + q.Transport)
	if q.Stale {
		from += " stale"
	}
	what := clean.Terminal(q.Name)
	if len(q.Values) > 0 {
		what += " = " + clean.Terminal(strings.Join(q.Values, " "))
	}
	explain.Paragraph(out, fmt.Sprintf("  %-4s  ", q.Type), what, explain.Wide)
	fmt.Fprintf(out, "        %s, TTL %v, %.1f ms, %s\n",
		clean.Terminal(result), q.TTL, float64(q.Took.Microseconds())/1000, from)
}
