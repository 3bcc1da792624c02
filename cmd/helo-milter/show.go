package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/past"
)

type showCmd struct {
	JSON  bool     `help:"Print the decision records instead."`
	ID    string   `arg:"" name:"id" help:"The id in the header, the log or the reply, or the MTA's queue id."`
	Files []string `arg:"" name:"file" help:"Decision logs or patterns of their names, plain or gzip-compressed; - is standard input."`
}

// Run explains each decision that has the id, from its record alone. A session may have several.
func (c *showCmd) Run(p *program) error {
	if said := c.ID; said != "" {
		if c.ID = pasted(said); c.ID == "" && len(c.Files) > 1 { // Id: abc, without quotes
			c.ID, c.Files = pasted(c.Files[0]), c.Files[1:]
		}
	}
	if c.ID == "" {
		return exitError{exitUsage, errors.New("show: the id is empty")}
	}
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	found := 0
	paths, errs := past.Paths(c.Files)
	for _, path := range paths {
		err := c.search(p, path, func(r *checks.Record) {
			if found++; found > 1 && !c.JSON {
				fmt.Fprintln(p.stdout)
			}
			c.print(p.stdout, r, cfg.Header.Name)
		})
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || found > 0 {
		return err
	}
	return fmt.Errorf("no decision with the id %s in these files (a refused message has no queue id)",
		clean.Quoted(c.ID, wholeHelo))
}

// pasted returns the id in what somebody has copied of a reply, a header, a link, or a line of the log. A HELO in it may
// look like an id: in a reply it stands before the id, and in a line of the log after it.
func pasted(text string) string {
	replied, logged := repliedID.FindAllStringIndex(text, -1), loggedID.FindStringIndex(text)
	switch {
	case logged != nil && (replied == nil || !replyCode.MatchString(text)):
		text = text[logged[1]:]
	case replied != nil:
		text = text[replied[len(replied)-1][1]:]
	}
	if logged != nil || replied != nil {
		text = strings.TrimLeft(text, " \t\"")
		if end := strings.IndexAny(text, " \t\r\n;,\""); end >= 0 {
			text = text[:end]
		}
	}
	text = strings.Trim(text, " \t\r\n;.,<>\"")
	if ours := strings.ToLower(text[strings.LastIndexByte(text, '/')+1:]); sessionID.MatchString(ours) {
		return ours
	}
	return text
}

// What stands before an id: in a reply, which begins with its code, and in a header or a line of a log.
var (
	repliedID = regexp.MustCompile(`(?i)\bid:`)
	replyCode = regexp.MustCompile(`^[245][0-9]{2}[ -]`)
	loggedID  = regexp.MustCompile(`(?i)(\b|_)id(=|":)`)
)

// sessionID is what the ids of sessions look like. Those of an MTA's queue may differ in case.
var sessionID = regexp.MustCompile(`^[a-z2-7]{26}$`)

func (c *showCmd) search(p *program, path string, found func(*checks.Record)) error {
	file, err := past.Open(p.ctx, path, p.stdin, nil)
	if err != nil {
		return err
	}
	defer file.Close()
	for r, err := range past.Find(path, file, c.ID) {
		switch broken := new(past.Broken); {
		case errors.As(err, &broken):
			fmt.Fprintln(p.stderr, "helo-milter:", broken)
		case err != nil:
			return err
		default:
			found(r)
		}
	}
	return nil
}

func (c *showCmd) print(out io.Writer, r *checks.Record, header string) {
	if c.JSON {
		fmt.Fprintln(out, r)
		return
	}
	line := func(what, text string) {
		if text != "" {
			paragraph(out, fmt.Sprintf("%-9s", what), clean.Terminal(text), wide)
		}
	}
	line("time", r.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	line("id", r.ID)
	line("queue id", r.QueueID)
	line("MTA", r.MTA)
	line("from", r.MailFrom)
	line("to", strings.Join(r.RcptTo, ", "))
	line("answer", r.Verdict.Did+", in mode "+r.Verdict.Mode.String())
	explain(out, r, checks.Advise(r, nil), header, func(out io.Writer) { recordedDNS(out, r.Facts) })
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
	paragraph(out, fmt.Sprintf("  %-4s  ", kind), clean.Terminal(name+" = "+answer), wide)
}
