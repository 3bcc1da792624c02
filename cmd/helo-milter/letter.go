package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"helo-milter/checks"
)

// letter prints a text for the administrator of a client: mail without From and To.
func letter(out io.Writer, r *checks.Record) {
	a := checks.Advise(r)
	if len(a.Steps) == 0 {
		fmt.Fprintf(out, "There is nothing that the administrator of %s has to change.\n", r.Client)
		return
	}
	say := func(text string) { paragraph(out, "", text, narrow) }
	fmt.Fprintf(out, "Subject: HELO and reverse DNS of your mail server %s\n\n", r.Client)
	say("Hello,")
	fmt.Fprintln(out)
	say("your mail server sends mail to us, and the name that it gives itself in SMTP (HELO) or its entries " +
		"in the DNS do not fit. This text says what we saw, and how to mend it.")
	fmt.Fprintln(out, "\nWHAT WE SAW")
	seen(out, r)
	fmt.Fprintln(out, "\nWHAT IS WRONG WITH IT")
	for _, f := range r.Findings {
		if f.Result == checks.Fail && f.Action != checks.Off {
			paragraph(out, "  - ", checks.All[checks.Index(f.Rule)].Doc, narrow)
		}
	}
	fmt.Fprintln(out, "\nWHY IT MATTERS")
	say(why(r))
	fmt.Fprintln(out, "\nWHAT TO CHANGE")
	advise(out, &a, narrow)
	fmt.Fprintln(out, "\nHOW TO TEST IT")
	test(out, r, &a)
	fmt.Fprintln(out)
	say("Thank you.")
}

// seen is what the client said, and what the DNS said.
func seen(out io.Writer, r *checks.Record) {
	line := func(what, text string) { paragraph(out, fmt.Sprintf("  %-15s", what), text, narrow) }
	line("time", r.Time.Format("2006-01-02 15:04 UTC"))
	line("address", r.Client.String())
	line("HELO", fmt.Sprintf("%.50q", r.Helo.Raw))
	line("PTR record", pointers(r.Facts))
	if n := len(r.Facts.Greetings); n > 0 {
		g := &r.Facts.Greetings[n-1]
		if text := addresses(g); text != "" {
			line("HELO in DNS", text)
		}
	}
	if r.Verdict.Reply != "" {
		heading := "our answer"
		if r.Verdict.Did == "accept" {
			heading = "answer to come"
		}
		for reply := range strings.Lines(r.Verdict.Reply) {
			line(heading, reply)
			heading = ""
		}
	}
}

// pointers is what the DNS says of a client's names.
func pointers(f *checks.Facts) string {
	switch f.PTR.Status {
	case checks.Missing:
		return "none"
	case checks.Found:
	default:
		return "the lookup failed"
	}
	var names []string
	for _, h := range f.PTR.Values {
		name := safe(h.Name)
		switch {
		case slices.Contains(h.Addrs.Values, f.Client):
			name += " (which leads back to the address)"
		case h.Addrs.Status == checks.Failed:
			name += " (whose address could not be looked up)"
		default:
			name += " (which does not lead back to the address)"
		}
		names = append(names, name)
	}
	if more := f.PTRCount - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// addresses is what the DNS says of the HELO name, or "" where nobody asked.
func addresses(g *checks.Greeting) string {
	var list []string
	for _, a := range g.Addrs() {
		list = append(list, a.String())
	}
	switch {
	case g.A.Status == checks.Unasked:
		return ""
	case len(list) > 0:
		return strings.Join(list, ", ")
	case g.A.Status == checks.Failed || g.AAAA.Status == checks.Failed:
		return "the lookup failed"
	default:
		return "no address"
	}
}

// why is what becomes of such mail, here and elsewhere.
func why(r *checks.Record) string {
	here := "Here such mail is let through, with a mark."
	switch {
	case r.Verdict.Did != "accept":
		here = "Here such mail is refused."
	case r.Verdict.Want != "accept":
		here = "Here such mail is let through for now, with a mark; it is meant to be refused later."
	}
	return "The HELO has to be the host's full name in the public DNS (RFC 5321, sections 2.3.5 and 4.1.1.1), " +
		"and many receivers compare it with the name that the PTR record of the address gives, and that name " +
		"with the address. What does not agree looks like an infected computer; it counts as a sign of spam, " +
		"or the mail is refused. " + here
}

// test is how the administrator sees that it is right now: by what the DNS and the mail server say.
func test(out io.Writer, r *checks.Record, a *checks.Advice) {
	qtype := "A"
	if r.Client.Is6() {
		qtype = "AAAA"
	}
	fmt.Fprintf(out, "  dig +short -x %s\n    has to say %s.\n", r.Client, a.Name)
	fmt.Fprintf(out, "  dig +short %s %s\n    has to say %s\n", a.Name, qtype, r.Client)
	fmt.Fprintf(out, "  host %s and host %s say the same.\n", r.Client, a.Name)
	ofSPF := func(s checks.Step) bool { return len(s.Records) > 0 && strings.HasPrefix(s.Records[0], "ip") }
	if slices.ContainsFunc(a.Steps, ofSPF) {
		fmt.Fprintf(out, "  dig +short %s TXT\n    has the SPF record.\n", a.Name)
	}
	paragraph(out, "  ",
		"The HELO is behind \"from\" in the topmost Received line of a mail to another provider.", narrow)
}
