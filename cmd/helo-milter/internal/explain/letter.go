package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Letter prints a text for the administrator of a client, as check --mail does: a message without From and To.
// Where there is nothing to change, it prints why there is nothing to write.
func Letter(out io.Writer, r *checks.Record, a checks.Advice) {
	if len(a.Steps) == 0 {
		Paragraph(out, "", noLetter(r), Wide)
		return
	}
	say := func(text string) { Paragraph(out, "", text, Narrow) }
	subject := "HELO name and reverse DNS of your mail server %s"
	wrong := "its HELO name or DNS records do not match"
	if !a.Names {
		subject = "Your mail server %s is on a block list"
		wrong = "it is on a list of servers whose mail is not wanted"
	}
	fmt.Fprintf(out, "Subject: "+subject+"\n\n", r.Client)
	say("Hello,")
	fmt.Fprintln(out)
	say("your mail server sends mail to us, and " + wrong + ". This message explains what we saw and how to fix it.")
	fmt.Fprintln(out, "\nWHAT WE SAW")
	seen(out, r)
	fmt.Fprintln(out, "\nWHAT IS WRONG")
	for _, f := range r.Findings {
		// A rule without a row is of a decision log of another version.
		if i := checks.Index(f.Rule); i >= 0 && f.Result == checks.Fail && f.Action != checks.Off {
			Paragraph(out, "  - ", checks.All[i].Doc, Narrow)
		}
	}
	fmt.Fprintln(out, "\nWHY IT MATTERS")
	say(why(r, a.Names))
	fmt.Fprintln(out, "\nWHAT TO CHANGE")
	Steps(out, &a, Narrow)
	if a.Names && !a.Fixed && checks.Public(r.Client) {
		fmt.Fprintln(out, "\nHOW TO CHECK IT")
		test(out, r, &a)
	}
	fmt.Fprintln(out)
	say("Thank you.")
}

// noLetter is why there is nothing to write.
func noLetter(r *checks.Record) string {
	var unsure []string
	for _, f := range r.Findings {
		if f.Result == checks.Unsure && f.Action != checks.Off {
			unsure = append(unsure, f.Rule)
		}
	}
	switch {
	case r.Exempt == "private":
		return fmt.Sprintf("%s is a private address; such clients are not judged.", r.Client)
	case r.Iprev == "temperror":
		return fmt.Sprintf("The DNS did not answer, so nothing can be said about %s; try again later.", r.Client)
	case len(unsure) > 0:
		return fmt.Sprintf("Nothing was found that the administrator of %s must change, but some lookups "+
			"failed. Unsure: %s.", r.Client, strings.Join(unsure, ", "))
	}
	return fmt.Sprintf("There is nothing that the administrator of %s must change.", r.Client)
}

// seen is what the client said, and what the DNS said.
func seen(out io.Writer, r *checks.Record) {
	line := func(what, text string) { Paragraph(out, fmt.Sprintf("  %-15s", what), text, Narrow) }
	line("time", r.Time.UTC().Format("2006-01-02 15:04 UTC"))
	line("address", r.Client.String())
	line("HELO", clean.Quoted(r.Helo.Raw, WholeHelo))
	line("PTR record", Pointers(r.Facts))
	if n := len(r.Facts.Greetings); n > 0 {
		g := &r.Facts.Greetings[n-1]
		if text := addresses(g); text != "" {
			line("HELO in DNS", text)
		}
	}
	if r.Verdict.Reply != "" && r.Exempt == "" {
		heading := "our reply"
		if r.Verdict.Did == "accept" {
			heading = "planned reply"
		}
		for reply := range strings.Lines(r.Verdict.Reply) {
			line(heading, reply)
			heading = ""
		}
	}
}

// Pointers returns what the DNS says of a client's PTR names, fit for a terminal.
func Pointers(f *checks.Facts) string {
	switch f.PTR.Status {
	case checks.Missing:
		return "none"
	case checks.Found:
	default:
		return "the lookup failed"
	}
	var names []string
	for _, h := range f.PTR.Values {
		name := clean.Terminal(h.Name)
		switch {
		case slices.Contains(h.Addrs.Values, f.Client):
			name += " (resolves back to the address)"
		case h.Addrs.Status == checks.Failed:
			name += " (its address lookup failed)"
		default:
			name += " (does not resolve back to the address)"
		}
		names = append(names, name)
	}
	if more := f.PTRCount - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// addresses is what the DNS says of the HELO name, or "" where it was not asked.
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
func why(r *checks.Record, names bool) string {
	refused := "refused"
	if r.Verdict.Want == "tempfail" {
		refused = "deferred"
	}
	here := "Here, such mail is accepted and marked."
	switch {
	case r.Exempt != "":
		here = "Here, your mail is accepted because we have made an exception for it."
	case r.Verdict.Did != "accept":
		here = "Here, such mail is " + refused + "."
	case r.Verdict.Want != "accept":
		here = "Here, such mail is accepted and marked for now; later it will be " + refused + "."
	}
	if !names {
		return here + " Reply to this message to ask why."
	}
	return "The HELO name must be the host's full name in the public DNS; an address in brackets is for hosts " +
		"that have no name (RFC 5321, sections 2.3.5 and 4.1.1.1). Many receivers compare it with the name in " +
		"the PTR record of the address, and that name with the address. A mismatch looks like an infected " +
		"computer: it counts as a sign of spam, or the mail is refused. " + here
}

// test is how the administrator sees that it is right now: by what the DNS and the mail server say.
func test(out io.Writer, r *checks.Record, a *checks.Advice) {
	qtype := "A"
	if r.Client.Is6() {
		qtype = "AAAA"
	}
	fmt.Fprintf(out, "  dig +short -x %s\n    must print %s.\n", r.Client, a.Name)
	fmt.Fprintf(out, "  dig +short %s %s\n    must print %s\n", a.Name, qtype, r.Client)
	fmt.Fprintf(out, "  host %s and host %s show the same.\n", r.Client, a.Name)
	ofSPF := func(s checks.Step) bool { return len(s.Records) > 0 && strings.HasPrefix(s.Records[0], "ip") }
	if slices.ContainsFunc(a.Steps, ofSPF) {
		fmt.Fprintf(out, "  dig +short %s TXT\n    must show the SPF record.\n", a.Name)
	}
	Paragraph(out, "  ",
		"The HELO name comes after \"from\" in the topmost Received line of a message to another provider.", Narrow)
}
