package evidence

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// answered returns an answer: "found" and "stale" have the value, "" has none, and other texts are why it failed.
func answered[T any](text string, value T) checks.Answer[T] {
	switch text {
	case "":
		return checks.Answer[T]{Status: checks.Missing}
	case "found", "stale":
		return checks.Answer[T]{Status: checks.Found, Values: []T{value}, Stale: text == "stale"}
	default:
		return checks.Answer[T]{Status: checks.Failed, Err: text}
	}
}

// answers returns the facts of a client that greets with a name, by how some questions ended, such as
// "ptr=timeout; a=found". Without a word, what is always asked for is missing, and the rest unasked.
func answers(helo, ended string) *checks.Facts {
	said := map[string]string{}
	for part := range strings.SplitSeq(ended, "; ") {
		key, text, _ := strings.Cut(part, "=")
		said[key] = text
	}
	client, other := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.1")
	host := checks.Host{Name: "host.example.com", Addrs: answered(said["ptraddrs"], other)}
	g := checks.Greeting{
		Helo: checks.ParseHelo(helo), A: answered(said["a"], other), AAAA: answered(said["aaaa"], other),
		MX: answered(said["mx"], "mx.example.org"), SPF: answered(said["spf"], "fail"),
	}
	if text := said["ptrlists"]; text != "" {
		host.Addrs, host.Lists = answered("found", client), answered(text, "dbl.example.")
	}
	for key, answer := range map[string]*checks.Answer[string]{"brandspf": &g.BrandSPF, "lists": &g.Lists, "ns": &g.NS} {
		if text := said[key]; text != "" {
			*answer = answered(text, "fail")
		}
	}
	if text := said["hosts"]; text != "" {
		g.Hosts = []checks.Host{{Name: "mx.example.org", Addrs: answered(text, other)}}
	}
	f := &checks.Facts{Client: client, PTR: answered(said["ptr"], host), Greetings: []checks.Greeting{g}}
	f.PTRCount = len(f.PTR.Values)
	return f
}

// Each line is how questions ended, and the causes of unsure rules.
func TestCauses(t *testing.T) {
	for _, tt := range []struct{ helo, ended, want string }{
		{"mail.example.org", "", ""},
		{"mail.example.org", "ptr=timeout", "PTR: timeout"},
		{"mail.example.org", "ptr=timeout; a=SERVFAIL", "HELO addresses: SERVFAIL, PTR: timeout"},
		{"mail.example.org", "a=REFUSED; aaaa=REFUSED", "HELO addresses: REFUSED"},
		{"mail.example.org", "a=timeout; aaaa=SERVFAIL", "HELO addresses: SERVFAIL, HELO addresses: timeout"},
		{"mail.example.org", "ptr=found; ptraddrs=udp: connection refused", "addresses of the PTR: unreachable"},
		{"mail.example.org", "ptr=tls: x509: certificate has expired", "PTR: unreachable"},
		{"mail.example.org", "ptr=lame", "PTR: unusable answer"},
		{"mail.example.org", "a=filtered: the resolver answers 0.0.0.0", "HELO addresses: filtered"},
		{"mail.example.org", "ptr=stale; ptraddrs=found", "PTR: stale"},
		// No rule is unsure for want of the MX of a name that has addresses.
		{"mail.example.org", "mx=timeout", "MX: timeout"},
		{"mail.example.org", "a=found; mx=timeout", ""},
		{"mail.example.org", "ptr=REFUSED; a=found; mx=timeout", "PTR: REFUSED"},
		{"mail.example.org", "spf=temperror: budget of this session is used up", "SPF: budget of the session"},
		{"mail.example.org", "spf=permerror", "SPF: invalid record"},
		{"mail.example.org", "spf=internal error: runtime error: index out of range", "SPF: other"},
		// The brand's record can only clear, and its absence is held against nobody else.
		{"a.gmail.com", "ptr=found; spf=temperror; brandspf=temperror: timeout", "SPF: other, SPF: timeout"},
		{"mail.example.org", "brandspf=temperror: timeout", ""},
		{"mail.example.org", "lists=dbl.example.: the list says 127.255.255.254", "block list: list error"},
		{"mail.example.org", "lists=dbl.example.: udp: network is unreachable", "block list: unreachable"},
		{"mail.example.org", "ptr=found; ptrlists=dbl.example.: timeout", "block list: timeout"},
		{"mail.example.org", "a=found; ns=too many questions", "NS: too many questions"},
		{"mail.example.org", "a=found; hosts=SERVFAIL", "addresses of MX and NS: SERVFAIL"},
		// Texts of other versions, or of anybody.
		{"mail.example.org", "ptr=FORMERR", "PTR: other"},
		{"mail.example.org", "ptr=: : : timeout", "PTR: other"},
		{"mail.example.org", "ptr=<script>", "PTR: other"},
	} {
		tally := newTally()
		for range 2 {
			f := answers(tt.helo, tt.ended)
			d := &checks.Decision{Facts: f, Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
			d.Verdict = checks.NewPolicy(checks.Standard).Decide(checks.Evaluate(f, nil, ""))
			tally.Add(d.Record(false))
		}
		s := &tally.Report(0, 0).Sections[0]
		var got []string
		for _, c := range s.Causes {
			if got = append(got, c.String()); c.Count != 2 {
				t.Errorf("%s, %s: counted %d times of 2", tt.helo, tt.ended, c.Count)
			}
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.helo, tt.ended, got, tt.want)
		}
		if unsure := s.Trouble.Unsure; unsure > 0 != (tt.want != "") || unsure != s.Trend[0].Unsure {
			t.Errorf("%s, %s: %d unsure, %+v", tt.helo, tt.ended, unsure, s.Trend[0])
		}
	}
}

// What a host did not record was not looked up.
func TestNotRecordedCauses(t *testing.T) {
	tally, r := newTally(), refusal{9, 0}.record()
	past := checks.Recorded{Client: r.Client, Helo: "mail.example.org", Said: true}
	r.Facts, r.Source = past.Facts(checks.Site{}), &checks.Source{DNS: "recorded"}
	tally.Add(r)
	const want = "[HELO addresses: not recorded MX: not recorded PTR: not recorded SPF: not recorded]"
	if got := fmt.Sprint(tally.Report(0, 0).Sections[0].Causes); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Each text of a failure in package dnscache has its cause, or is one of a few that say nothing to an administrator.
func TestFailureTexts(t *testing.T) {
	silent := []string{
		"canceled", "internal error", "unknown rcode", // rare
		"not cached", "no server gave an answer now", // in no decision record
		"NXDOMAIN", "NODATA", "not a DNS name", // answers
	}
	files, err := filepath.Glob("../../../../dnscache/*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\btext(?::| :?=) "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(file, "_test.go") && !slices.Contains(silent, match[1]) {
				if seen++; whyFailed(match[1]) == otherwise {
					t.Errorf("%s: %q has no cause", filepath.Base(file), match[1])
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d texts were found", seen)
	}
}
