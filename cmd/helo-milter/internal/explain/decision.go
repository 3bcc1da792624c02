// Package explain is what there is to say about one decision, as plain text for people: on a terminal, in
// mail, on a page of the console. It looks nothing up and knows no files: a record has all that it needs.
//
//	Decision  what show prints: the session, what the DNS said then, and Record
//	Record    what check prints: the rules, the verdict, what to change
//	Letter    what check --mail prints, for the client's administrator
//	Allow     the lines of the configuration that exempt the client
//	ID        which decision is meant: the id in what somebody has copied
//
// In all of it, what clients, their DNS and the writers of decision logs said is fit for a terminal (package
// clean). For HTML it must be escaped once more.
package explain

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Decision prints a record of a decision log as show does: from the record alone, without asking the DNS.
// header is the name of our header field.
func Decision(out io.Writer, r *checks.Record, header string) {
	line := func(what, text string) {
		if text != "" {
			Paragraph(out, fmt.Sprintf("%-9s", what), clean.Terminal(text), Wide)
		}
	}
	line("time", r.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	line("id", r.ID)
	line("queue id", r.QueueID)
	line("MTA", r.MTA)
	line("from", r.MailFrom)
	line("to", strings.Join(r.RcptTo, ", "))
	line("answer", r.Verdict.Did+", in mode "+r.Verdict.Mode.String())
	Record(out, r, checks.Advise(r, nil), header, func(out io.Writer) { recordedDNS(out, r.Facts) })
}

// recordedDNS prints what the DNS said then.
func recordedDNS(out io.Writer, f *checks.Facts) {
	recorded(out, "PTR", f.Client.String(), f.PTR, func(h checks.Host) string { return h.Name })
	for _, h := range f.PTR.Values {
		host(out, &h)
	}
	text := func(value string) string { return value }
	for _, g := range f.Greetings {
		name := g.Helo.Name
		recorded(out, "A", name, g.A, netip.Addr.String)
		recorded(out, "AAAA", name, g.AAAA, netip.Addr.String)
		recorded(out, "MX", name, g.MX, text)
		recorded(out, "NS", name, g.NS, text)
		recorded(out, "SPF", name, g.SPF, text)
		recorded(out, "SPF", "the domain of "+name, g.BrandSPF, text)
		recorded(out, "list", name, g.Lists, text)
		for _, h := range g.Hosts {
			host(out, &h)
		}
	}
}

func host(out io.Writer, h *checks.Host) {
	recorded(out, "addr", h.Name, h.Addrs, netip.Addr.String)
	recorded(out, "list", h.Name, h.Lists, func(value string) string { return value })
}

// recorded prints one question, if it was asked, with its answer in a line.
func recorded[T any](out io.Writer, kind, name string, a checks.Answer[T], text func(T) string) {
	answer := a.Err
	switch a.Status {
	case checks.Unasked:
		return
	case checks.Missing:
		answer = "none"
	case checks.Found:
		values := make([]string, len(a.Values))
		for i, v := range a.Values {
			values[i] = text(v)
		}
		answer = strings.Join(values, " ")
		if a.Stale {
			answer += " (stale: an earlier answer, since no server gave a new one)"
		}
	default:
		answer = "the lookup failed: " + answer
	}
	Paragraph(out, fmt.Sprintf("  %-4s  ", kind), clean.Terminal(name+" = "+answer), Wide)
}
