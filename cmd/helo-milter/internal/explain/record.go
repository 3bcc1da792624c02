package explain

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Record prints a record as check does: to us what was found, to the client's administrator what to do.
// header is the name of our header field; dns prints what the DNS said.
func Record(out io.Writer, r *checks.Record, a checks.Advice, header string, dns func(io.Writer)) {
	fmt.Fprintf(out, "client   %s\n", r.Client)
	if how := transition(r.Client); how != "" {
		Paragraph(out, "         ", how, Wide)
	}
	Paragraph(out, "HELO     ", clean.Quoted(r.Helo.Raw, WholeHelo), Wide)
	fmt.Fprintf(out, "iprev    %s\n", clean.Terminal(r.Iprev))
	if r.Exempt != "" {
		fmt.Fprintf(out, "exempt   %s: this client is not judged\n", clean.Terminal(r.Exempt))
		return
	}
	fmt.Fprintln(out, "\nDNS")
	dns(out)
	fleet(out, r.Facts)
	Rules(out, r)
	verdict(out, r, header)
	if len(a.Steps) > 0 {
		fmt.Fprintf(out, "\nWhat the administrator of %s must change\n", r.Client)
		Steps(out, &a, Wide)
	}
}

// transition is what an address of a deprecated transition mechanism hides, or "".
func transition(client netip.Addr) string {
	octets := client.As16()
	switch {
	case netip.MustParsePrefix("2002::/16").Contains(client): // RFC 3056 §2
		return fmt.Sprintf("a 6to4 address (deprecated, RFC 7526) behind %s: nothing about that address says "+
			"which host this is", netip.AddrFrom4([4]byte(octets[2:6])))
	case netip.MustParsePrefix("2001::/32").Contains(client): // RFC 4380 §4: the bits are inverted
		return fmt.Sprintf("a Teredo address (RFC 4380) behind the NAT %d.%d.%d.%d: nothing about that address "+
			"says which host this is", ^octets[12], ^octets[13], ^octets[14], ^octets[15])
	}
	return ""
}

// Rules prints what the rules found.
func Rules(out io.Writer, r *checks.Record) {
	fmt.Fprintln(out, "\nrules")
	for _, f := range r.Findings {
		// Colours have no width, so the padding comes first.
		line := fmt.Sprintf("  %-22s  %s  %-8s  %3.1f  ",
			clean.Terminal(f.Rule), paint(out, f.Result.String(), fmt.Sprintf("%-6v", f.Result)), f.Action, f.Score)
		fmt.Fprintln(out, strings.TrimRight(line, " "))
		if f.Result < checks.Unsure {
			continue
		}
		Paragraph(out, "      ", finding(&f), Wide)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(out, "  nothing is wrong")
	}
}

// finding is what a rule found, in words. Those of the rule table say that it failed.
func finding(f *checks.RuleFinding) string {
	what := clean.Quoted(f.Detail, clean.Whole)
	i := checks.Index(f.Rule)
	switch {
	case f.Rule == checks.AllowList:
		return "a failed lookup left open whether the allow list covers the client, so it is not refused for good"
	case i >= 0 && f.Detail == checks.NoAnswer:
		what = checks.All[i].Doc
	case i >= 0:
		what = checks.All[i].Doc + ": " + what
	}
	if f.Result == checks.Unsure {
		return "undecided, because DNS lookups failed, whether " + what
	}
	return what
}

func verdict(out io.Writer, r *checks.Record, header string) {
	v := &r.Verdict
	fmt.Fprintf(out, "\nverdict  %s", paint(out, v.Want, clean.Terminal(v.Want)))
	if v.Reply != "" {
		fmt.Fprintf(out, " because of %s", clean.Terminal(v.Rule))
	}
	enforced := map[string]string{
		"accept": "accepts it, too", "tempfail": "defers it", "reject": "refuses it",
	}[v.Want]
	fmt.Fprintf(out, ", score %.1f\n", v.Score)
	fmt.Fprintf(out, "         observe mode accepts the mail; enforce mode %s\n", enforced)
	heading := "reply    "
	for line := range strings.Lines(v.Reply) {
		Paragraph(out, heading, line, Wide)
		heading = "         "
	}
	if r.Header == "" { // the message was refused, or never came
		return
	}
	heading = "header   "
	for line := range strings.Lines(header + ": " + r.Header) {
		Paragraph(out, heading, line, Wide)
		heading = "             "
	}
}
