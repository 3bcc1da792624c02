package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// crowd is a number of clients that do the same, each once a day on some days in a row.
type crowd struct {
	clients, days int
	first         string // address of the first client; the others follow, IPv6 each in the next network
	helo          string // %d is the client's number
	ptr           string // like helo; "!name" is not confirmed, "?" a failed lookup, "" none
	exempt        string
	source        string // "", or DNS and label of checks.Source
}

// healthy is two weeks of mail with some clients of every sort.
var healthy = []crowd{
	{230, 3, "192.0.2.0", "mail%d.example.org", "mail%d.example.org", "", ""},
	{40, 14, "2001:db8::1", "mail%d.example.com", "mail%d.example.com", "", ""},
	{8, 3, "198.51.100.0", "198.51.100.%d", "", "", ""},
	{6, 4, "203.0.113.64", "friend", "!host%d.example.org", "", ""},
	{3, 2, "203.0.113.128", "localhost", "web%d.example.com", "", ""},
	{2, 5, "203.0.113.8", "mx.example.net", "vm%d.example.org", "", ""},
	{2, 1, "203.0.113.16", "gmail.com", "vm%d.example.org", "", ""},
	{4, 3, "203.0.113.32", "mail%d.example.org", "?", "", ""},
	{5, 6, "2001:db8:1000::1", "printer%d.internal", "", "allow", ""},
	{9, 10, "2001:db8:2000::1", "laptop", "", "authenticated", ""},
	{2, 2, "2001:db8:2001::2", "0x7f%d", "", "", ""}, // in the network of a laptop
	{2, 2, "2001:db8:3000::1", "relay%d.internal", "", "", ""},
	{1, 14, "127.0.0.1", "localhost", "", "private", ""},
}

// young is three days of mail, and replayed mail beside it.
var young = []crowd{
	{30, 3, "192.0.2.0", "mail%d.example.org", "mail%d.example.org", "", ""},
	{2, 1, "203.0.113.64", "friend", "", "", ""},
	{20, 2, "192.0.2.0", "mail%d.example.org", "mail%d.example.org", "", "recorded ham"},
	{5, 2, "203.0.113.64", "friend", "", "", "recorded spam"},
	{5, 2, "203.0.113.64", "friend", "host%d.example.org", "", "now spam"},
}

func (c crowd) records(policy *checks.Policy) []*checks.Record {
	var list []*checks.Record
	addr := netip.MustParseAddr(c.first)
	for n := range c.clients {
		for day := range c.days {
			at := time.Date(2026, 11, 1+day, 8, n%60, 0, 0, time.UTC)
			list = append(list, c.record(policy, addr, n, at))
		}
		addr = next(addr)
	}
	return list
}

func next(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr.Next()
	}
	bytes := addr.As16()
	bytes[5]++ // of a /48
	return netip.AddrFrom16(bytes)
}

func (c crowd) record(policy *checks.Policy, addr netip.Addr, n int, at time.Time) *checks.Record {
	name := func(pattern string) string { return strings.ReplaceAll(pattern, "%d", fmt.Sprint(n)) }
	itself := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{addr}}
	none := checks.Answer[netip.Addr]{Status: checks.Missing}
	f := &checks.Facts{
		Client: addr, Site: checks.Site{Hostname: "mx.example.net"},
		Greetings: []checks.Greeting{{
			Helo: checks.ParseHelo(name(c.helo)), A: none, AAAA: none,
			MX: checks.Answer[string]{Status: checks.Missing}, SPF: checks.Answer[string]{Status: checks.Missing},
		}},
	}
	host := checks.Host{Name: name(strings.TrimPrefix(c.ptr, "!")), Addrs: itself}
	switch {
	case c.ptr == "":
		f.PTR.Status = checks.Missing
	case c.ptr == "?":
		f.PTR.Status, f.PTR.Err = checks.Failed, "SERVFAIL"
		if n%4 == 0 {
			f.PTR.Err = "timeout"
		}
	default:
		if c.ptr[0] == '!' {
			host.Addrs = none
		}
		f.PTR, f.PTRCount = checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{host}}, 1
	}
	if c.ptr == c.helo {
		f.Greetings[0].A = itself
	}
	d := &checks.Decision{ID: "id", MTA: "mx.example.net", Facts: f, Time: at}
	if c.exempt != "" {
		d.Verdict.Exempt = c.exempt
	} else {
		d.Verdict = policy.Decide(checks.Evaluate(f, nil, ""))
	}
	r := d.Record(false)
	if dns, label, ok := strings.Cut(c.source, " "); ok {
		r.Source = &checks.Source{Place: "mbox:1", DNS: dns, Label: label}
	}
	return r
}

// decisionLog writes a decision log of crowds, with two broken lines.
func decisionLog(t *testing.T, crowds []crowd) string {
	t.Helper()
	var b strings.Builder
	for _, c := range crowds {
		for _, r := range c.records(checks.NewPolicy(checks.Standard)) {
			fmt.Fprintln(&b, r)
		}
	}
	file := filepath.Join(t.TempDir(), "decisions.jsonl")
	if err := os.WriteFile(file, []byte(b.String()+"\n{\"v\":1,\n{\"v\":2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// report runs the command, and fails unless it exits with want.
func report(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	return reportOn(t, nil, want, args...)
}

func reportOn(t *testing.T, stdin io.Reader, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"report"}, args...), stdin, &out, &errs); code != want {
		t.Fatalf("report %v: exit %d, want %d: %s", args, code, want, errs.String())
	}
	return out.String(), errs.String()
}

func TestReport(t *testing.T) {
	for name, crowds := range map[string][]crowd{"healthy": healthy, "young": young} {
		file := decisionLog(t, crowds)
		for format, ending := range map[string]string{"": "txt", "--json": "json", "--html": "html"} {
			args := strings.Fields(format + " " + file)
			text, errs := report(t, exitDone, args...)
			golden(t, filepath.Join("testdata", "report", name+"."+ending), text)
			if errs != "" {
				t.Errorf("%s %s: %s", name, format, errs)
			}
			if ending == "txt" {
				for line := range strings.Lines(text) {
					if len(line) > 101 || line != strings.TrimRight(line, " \n")+"\n" {
						t.Errorf("%s: too long, or with blanks at its end: %q", name, line)
					}
				}
			}
		}
	}
}

func TestReportSources(t *testing.T) {
	file := decisionLog(t, young)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := report(t, exitDone, file)
	packed := filepath.Join(t.TempDir(), "packed") // gzip is recognized whatever the name
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(log); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := report(t, exitDone, packed); got != want {
		t.Errorf("packed, it is\n%s\nwant\n%s", got, want)
	}
	if got := reportStandardInput(t, packed); got != want {
		t.Errorf("from standard input, it is\n%s\nwant\n%s", got, want)
	}
	if _, errs := report(t, exitDone, "--verbose", file); strings.Count(errs, "decisions.jsonl:") != 2 {
		t.Errorf("--verbose says %s", errs)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := report(t, exitBad, empty); !strings.Contains(errs, "no judged mail") {
		t.Errorf("nothing to read: %s", errs)
	}
	report(t, exitUsage, "--json", "--html", file)
	report(t, exitUsage)
	report(t, exitConfig, "--config", empty+".no", file)
}

func reportStandardInput(t *testing.T, file string) string {
	t.Helper()
	log, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	text, _ := reportOn(t, log, exitDone, "-")
	return text
}

var scripts = regexp.MustCompile(`(?i)<script|javascript:|\son[a-z]+=|https?:|src=|@import|url\(`)

// Hostile text of clients, of their DNS and in records stays text in every format.
func TestReportHostile(t *testing.T) {
	t.Parallel()
	for name, text := range checkstest.Hostile(t) {
		crowds := []crowd{
			{3, 2, "203.0.113.1", text, "", "", ""},
			{3, 2, "203.0.113.65", "friend", "!a" + text, "", ""},
			{3, 2, "203.0.113.129", text, "!a" + text, "", ""},
		}
		file := decisionLog(t, crowds)
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := crowds[1].records(checks.NewPolicy(checks.Standard))[0]
		for _, change := range []func(){
			func() { r.Iprev, r.Verdict.Rule, r.Verdict.Want = text, text, "reject" },
			func() { r.Findings = append(r.Findings, checks.RuleFinding{Rule: text, Detail: text}) },
			func() { r.Source = &checks.Source{Place: text, DNS: text, Label: text} },
			func() { r.Exempt = text },
			func() { // a client with a zone, a line that may be refused
				r.Exempt, r.Client = "", netip.MustParseAddr("2001:db8::9").WithZone(text)
				r.Facts.Client = r.Client
			},
		} {
			change()
			log = append(log, r.String()+"\n"...)
		}
		writeFile(t, file, string(log))
		for _, format := range []string{"--config=", "--json", "--html"} {
			got, _ := report(t, exitDone, format, file)
			staysText(t, name, format, got)
		}
	}
}

func staysText(t *testing.T, name, format, got string) {
	t.Helper()
	for _, r := range got {
		if !unicode.IsPrint(r) && r != '\n' {
			t.Fatalf("%s: %s has %q", name, format, r)
		}
	}
	if format == "--html" && scripts.MatchString(got) {
		t.Errorf("%s: %q", name, scripts.FindString(got))
	}
	if format == "--json" && !json.Valid([]byte(got)) {
		t.Errorf("%s: no JSON", name)
	}
}

// A file that cannot be read is reported, and the others are still counted.
func TestReportErrors(t *testing.T) {
	file := decisionLog(t, young)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(log); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cut, garbled := filepath.Join(dir, "cut.gz"), filepath.Join(dir, "garbled.gz")
	empty := filepath.Join(dir, "empty")
	writeFile(t, cut, string(b.Bytes()[:b.Len()-10]))
	writeFile(t, garbled, "\x1f\x8b\x00")
	writeFile(t, empty, "")
	for _, tt := range []struct{ args, errs, says string }{
		{"no FILE", "no such file", "1 file could not be read"},
		{"CUT FILE", "unexpected EOF", "1 file could not be read, or only in part."},
		{"FILE GARBLED no", "no such file", "2 files could not be read"},
		{"EMPTY", "no judged mail", ""},
		{"no", "no such file", "1 file could not be read"},
	} {
		args := strings.NewReplacer("FILE", file, "CUT", cut, "GARBLED", garbled, "EMPTY", empty).Replace(tt.args)
		text, errs := report(t, exitBad, strings.Fields(args)...)
		if !strings.Contains(errs, tt.errs) || !strings.Contains(text, tt.says) {
			t.Errorf("%s: %s\n%s", tt.args, errs, text)
		}
		if whole := strings.Contains(tt.args, "FILE"); strings.Contains(text, "EVIDENCE from 3 days") != whole {
			t.Errorf("%s: %s", tt.args, text)
		}
	}
}
