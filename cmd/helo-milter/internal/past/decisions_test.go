package past

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"helo-milter/checks"
)

// decisionLine returns a record as the daemon writes it.
func decisionLine(n int) string {
	client := netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
	addrs := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}
	f := &checks.Facts{
		Client: client, PTRCount: 1,
		PTR: checks.Answer[checks.Host]{
			Status: checks.Found, Values: []checks.Host{{Name: "mail.example.org", Addrs: addrs}},
		},
		Greetings: []checks.Greeting{{
			Helo: checks.ParseHelo("mx.example.com"), A: addrs,
			AAAA: checks.Answer[netip.Addr]{Status: checks.Missing},
			SPF:  checks.Answer[string]{Status: checks.Found, Values: []string{"pass"}},
		}},
		Site: checks.Site{Hostname: "mx.example.net", Names: []string{"example.net", ".example.net"}},
	}
	policy := checks.NewPolicy(checks.Strict)
	d := &checks.Decision{
		ID: fmt.Sprint(n), MTA: "mx.example.net", QueueID: "4bC1x2", MailFrom: "a@example.org",
		RcptTo: []string{"b@example.net"}, Facts: f, Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
	}
	d.Verdict = policy.Decide(checks.Evaluate(f, nil, "example.net"))
	d.Header = d.Verdict.Header(d.ID, f)
	return d.Record(false).String()
}

func same(r *checks.Record) *checks.Record { return r }

// Records come in order, each as it was written; a line that is not a record is reported with its number, and
// the lines after it are read.
func TestDecisions(t *testing.T) {
	const n = 1000
	var log strings.Builder
	for i := range n {
		fmt.Fprintln(&log, decisionLine(i))
	}
	for _, tt := range []struct{ name, line, want string }{
		{"nothing", "", ""},
		{"blank", " \r\n\t", ""},
		{"text", "Nov 22 08:00:00 mx postfix/smtpd[1]: connect", `log:1001: not a decision record: "invalid character 'N'`},
		{"torn", decisionLine(1)[:200], `log:1001: not a decision record: "unexpected end`},
		{"another version", `{"v":2}`, "log:1001: not a decision record of version 1: \"v is 2\""},
		{"no facts", `{"v":1,"time":"2026-11-01T00:00:00Z"}`, "log:1001: decision record without facts"},
		{"no time", `{"v":1,"facts":{}}`, "log:1001: decision record without a time"},
		{
			"another client", `{"v":1,"time":"2026-11-01T00:00:00Z","client":"192.0.2.1","facts":{}}`,
			"log:1001: client and facts.client differ",
		},
		{
			"zone", `{"v":1,"time":"2026-11-01T00:00:00Z","client":"fe80::1%eth0",` +
				`"facts":{"client":"fe80::1%eth0"}}`,
			"log:1001: client is IPv4-mapped or has a zone",
		},
		{
			"mapped", `{"v":1,"time":"2026-11-01T00:00:00Z","client":"::ffff:192.0.2.1",` +
				`"facts":{"client":"::ffff:192.0.2.1"}}`,
			"log:1001: client is IPv4-mapped or has a zone",
		},
		{
			"unknown values", `{"v":1,"iprev":"\u202e","findings":[{"result":"\u001b[2J"}]}`,
			`log:1001: not a decision record: "\"\\x1b[2J\" is none of`,
		},
		{"too long", strings.Repeat("x", maxRecord+1), "log:1001: line longer than 4 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := io.MultiReader(strings.NewReader(log.String()+tt.line+"\n"), strings.NewReader(decisionLine(n)))
			next, broken := 0, ""
			for r, err := range Decisions("log", in, same) {
				switch {
				case err != nil:
					if wrong := new(Broken); !errors.As(err, &wrong) {
						t.Fatal(err)
					}
					broken += err.Error()
				case r.ID != fmt.Sprint(next) || next%100 == 0 && r.String() != decisionLine(next):
					t.Fatalf("record %d is %s", next, r)
				default:
					next++
				}
			}
			if next != n+1 || !strings.HasPrefix(broken, tt.want) || tt.want == "" && broken != "" {
				t.Errorf("%d records, %q", next, broken)
			}
		})
	}
}

// A read error ends the sequence, after the records before it.
func TestDecisionsReadError(t *testing.T) {
	in := io.MultiReader(strings.NewReader(decisionLine(1)+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	var got []string
	for r, err := range Decisions("log", in, same) {
		if r != nil {
			got = append(got, r.ID)
		} else {
			got = append(got, err.Error())
		}
	}
	if fmt.Sprint(got) != "[1 log:2: unexpected EOF]" {
		t.Errorf("%q", got)
	}
}

// Breaking out of the loop ends the reader.
func TestDecisionsBreak(t *testing.T) {
	n := 0
	for range Decisions("log", strings.NewReader(strings.Repeat(decisionLine(1)+"\n", 1000)), same) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d records", n)
	}
}

// Every record that is read can be evaluated, and survives writing and reading; and encoding/json reads the same.
func FuzzDecisions(f *testing.F) {
	f.Add([]byte(decisionLine(1)))
	f.Add([]byte(`{"v":1,"time":"2026-11-01T00:00:00Z","client":"2001:db8::1","helo":"a","exempt":"allow",` +
		`"facts":{"client":"2001:db8::1",` +
		`"ptr":{"status":"found","values":[{"name":".","addrs":{"status":"failed"}}]}}}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		for line := range bytes.Lines(log) {
			agree(t, &cursor{}, bytes.TrimSpace(line))
		}
		for r, err := range Decisions("log", bytes.NewReader(log), same) {
			if err != nil {
				continue
			}
			checks.Evaluate(r.Facts, nil, "")
			line := r.String()
			again, err := record([]byte(line), &cursor{})
			if err != nil || again.String() != line {
				t.Errorf("%s\nis read as\n%s (%v)", line, again, err)
			}
		}
	})
}

func BenchmarkDecisions(b *testing.B) {
	log := strings.Repeat(decisionLine(1)+"\n", 10000)
	for b.Loop() {
		for _, err := range Decisions("log", strings.NewReader(log), same) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds(), "records/s")
}

// What logrotate makes of a log is found, the latest first, and nothing else of its directory.
func TestRotated(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("log.9", 0o700), syscall.Mkfifo("log.8", 0o600)); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{
		"d.jsonl", "d.jsonl.1", "d.jsonl-20261127", "d-20261126.jsonl", "d.2.jsonl.gz", "d.jsonl.10.gz",
		"d.jsonl.bak", "d.jsonl.1.zst", "xd.jsonl", "d.jsonl.1~", "d2.jsonl", "d-old.jsonl", "log", "log.1", "l+g", "l+g.1", "lllg.1",
	} {
		at := time.Date(2026, 11, 28-i, 0, 0, 0, 0, time.UTC)
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	for log, want := range map[string]string{
		"d.jsonl":   "d.jsonl d.jsonl.1 d.jsonl-20261127 d-20261126.jsonl d.2.jsonl.gz d.jsonl.10.gz",
		"./d.jsonl": "./d.jsonl ./d.jsonl.1 ./d.jsonl-20261127 ./d-20261126.jsonl ./d.2.jsonl.gz ./d.jsonl.10.gz",
		"log":       "log log.1", "l+g": "l+g l+g.1", "log.8": "", "no/log": "", "none": "",
	} {
		if got := strings.Join(Rotated(log), " "); got != want {
			t.Errorf("%s: %s, want %s", log, got, want)
		}
	}
}

// Each reads what Decisions reads, but for lines that are too long.
func TestEach(t *testing.T) {
	log := decisionLine(1) + "\n\n" + strings.Repeat("x", maxRecord+1) + "\n{}\n" + decisionLine(2)
	var got []string
	for r, err := range Each("log", strings.NewReader(log)) {
		if err != nil {
			got = append(got, strings.Fields(err.Error())[0])
		} else {
			got = append(got, r.ID)
		}
	}
	if fmt.Sprint(got) != "[1 log:4: 2]" {
		t.Errorf("%q", got)
	}
}

func BenchmarkFind(b *testing.B) {
	log := strings.Repeat(decisionLine(1)+"\n", 10000)
	for b.Loop() {
		for range Find("log", strings.NewReader(log), "ptpybn6iry3tg25mnevlf2hvae") {
			b.Fatal("found")
		}
	}
	b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds(), "records/s")
}
