package checks_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

func TestReply(t *testing.T) {
	help := &checks.Help{URL: "https://mx.example.net/helo"}
	for _, tt := range []struct{ client, helo, want string }{
		{
			"203.0.113.9", "friend",
			`504 5.5.2 HELO "friend" from 203.0.113.9: the HELO name is a single label, ` +
				`not a full host name. Set the mail server's HELO name to its full public host name, such as ` +
				`mail.example.org. Rule: helo-not-fqdn Id: 4afq7n https://mx.example.net/helo`,
		},
		{
			"203.0.113.9", "-", `503 5.5.1 203.0.113.9: no HELO or EHLO was sent before MAIL. Send EHLO with ` +
				`your full host name first. Rule: helo-missing Id: 4afq7n https://mx.example.net/helo`,
		},
		{
			"203.0.113.1", "inside.example.com",
			`550 5.7.1 HELO "inside.example.com" from 203.0.113.1 (10.0.0.1): ` +
				`the HELO name resolves only to addresses that are not on the public Internet. Publish the mail ` +
				`server's public address for its HELO name. Rule: helo-bogus-address Id: 4afq7n https://mx.example.net/helo`,
		},
		{"203.0.113.1", "mail.example.org", ""},
	} {
		f := factsOf(t, tt.client)
		if tt.helo != "-" {
			f = factsOf(t, tt.client, tt.helo)
		}
		policy := checks.NewPolicy(checks.Standard)
		policy.Actions[checks.Index("helo-not-fqdn")] = checks.Reject
		v := policy.Decide(checks.Evaluate(f, nil, ""))
		if got := v.Reply(f, "4afq7n", time.Time{}, help).String(); got != tt.want {
			t.Errorf("%s HELO %s\n got %s\nwant %s", tt.client, tt.helo, got, tt.want)
		}
	}
}

// What leads to help is never cut: not in lines, and not where all is one line.
func TestReplyLinks(t *testing.T) {
	f := factsOf(t, "203.0.113.9", strings.Repeat("a", 63)+"."+strings.Repeat("b", 63))
	v := checks.NewPolicy(checks.Strict).Decide(checks.Evaluate(f, nil, ""))
	const id = "ptpybn6iry3tg25mnevlf2hvae"
	link := "https://helo.example.net/r/" + strings.Repeat("x", 373)
	help := checks.Help{
		URL: "https://mx.example.net/{rule}?from={client}&id={id}",
		Link: func(at time.Time, f *checks.Facts, v *checks.Verdict) string {
			if at.Unix() != 1000 || f == nil || v.Rule == nil {
				t.Errorf("a link for %v, %v, %v", at, f, v.Rule)
			}
			return link
		},
	}
	reply := v.Reply(f, id, time.Unix(1000, 0), &help)
	url := "https://mx.example.net/helo-unknown-tld?from=203.0.113.9&id=" + id
	if got := strings.Join(reply.Lines, " "); !strings.HasSuffix(got, " Rule: helo-unknown-tld Id: "+id+" "+link+" "+url) {
		t.Errorf("%q", got)
	}
	if last := reply.Lines[len(reply.Lines)-1]; last != url || !slices.Contains(reply.Lines, link) {
		t.Errorf("%q", reply.Lines)
	}
	for _, tt := range []struct {
		limit int
		end   string
	}{
		{120, " ... Rule: helo-unknown-tld"},
		{150, " ... Rule: helo-unknown-tld Id: " + id},
		{300, " ... Rule: helo-unknown-tld Id: " + id + " " + url},
		{600, " ... Rule: helo-unknown-tld Id: " + id + " " + link},
		{10_000, ". Rule: helo-unknown-tld Id: " + id + " " + link + " " + url},
	} {
		got := reply.Line(tt.limit)
		if len(got) > tt.limit || !strings.HasSuffix(got, tt.end) || !strings.HasPrefix(got, `HELO "aaaaaaaaaa`) {
			t.Errorf("in %d bytes: %d, %q", tt.limit, len(got), got)
		}
	}
	if short := (&checks.Reply{Lines: []string{strings.Repeat("x", 300)}}).Line(120); len(short) != 120 {
		t.Errorf("%q", short)
	}
}

// The class of the code and of the enhanced code agree, whatever the rule and the action: Postfix takes
// a reply for malformed and drops the milter when they do not.
func TestReplyClasses(t *testing.T) {
	f := factsOf(t, "203.0.113.9", "friend")
	for i := range checks.All {
		for _, action := range []checks.Action{checks.TempFail, checks.Reject} {
			for _, result := range []checks.Result{checks.Fail, checks.Unsure} {
				finding := checks.Finding{Result: result, Problem: &checks.Problem{}}
				v := checks.Verdict{Action: action, Rule: &checks.All[i], Finding: finding}
				reply := v.Reply(f, "", time.Time{}, &checks.Help{}).String()
				class := map[bool]string{true: `^5\d\d 5\.\d\.\d+ `, false: `^4\d\d 4\.\d\.\d+ `}
				permanent := action == checks.Reject && result == checks.Fail
				if !regexp.MustCompile(class[permanent]).MatchString(reply) {
					t.Errorf("%s, %v, %v: %s", checks.All[i].Name, action, result, reply)
				}
			}
		}
	}
}

func TestHeader(t *testing.T) {
	for _, tt := range []struct{ client, helo, want string }{
		{
			"203.0.113.9", "friend",
			"accept; client=203.0.113.9; helo=friend; iprev=permerror; score=3.6;\n" +
				"\trules=helo-not-fqdn,ptr-missing; unsure=none; id=id1",
		},
		{
			"2001:db8::1", "mail.example.org",
			"accept; client=2001:db8::1; helo=mail.example.org; iprev=pass; score=0.0;\n" +
				"\trules=none; unsure=none; id=id1",
		},
		{
			"203.0.113.6", "[203.0.113.6]",
			"accept; client=203.0.113.6; helo=[203.0.113.6]; iprev=temperror; score=0.0;\n" +
				"\trules=none; unsure=ptr-unconfirmed; id=id1",
		},
	} {
		f, policy := factsOf(t, tt.client, tt.helo), checks.NewPolicy(checks.Standard)
		v := policy.Decide(checks.Evaluate(f, nil, ""))
		if got := v.Header("id1", f); got != tt.want {
			t.Errorf("%s HELO %s\n got %s\nwant %s", tt.client, tt.helo, got, tt.want)
		}
	}
	for _, tt := range []struct {
		verdict checks.Verdict
		want    string
	}{
		{
			checks.Verdict{Exempt: "no-address"},
			"exempt; client=none; helo=none; iprev=none; score=0.0;\n\trules=none; unsure=none; id=id1",
		},
		{
			checks.Verdict{Internal: true, Mode: checks.Enforce},
			"accept; client=none; helo=none; iprev=none; score=0.0;\n\trules=none; unsure=internal; id=id1",
		},
	} {
		if got := tt.verdict.Header("id1", &checks.Facts{}); got != tt.want {
			t.Errorf("without findings\n got %s\nwant %s", got, tt.want)
		}
	}
}

// TestTable holds the rule table: names in the contract's order, actions of the three profiles, score, reply.
// Two rules are milder and most scores other than the contract has them, because integration/accuracy says so:
// README, "How good is it?".
func TestTable(t *testing.T) {
	want := strings.Fields(`
helo-missing/RRR/5/503,5.5.1 helo-malformed/MRR/5/501,5.5.2 helo-underscore/MRR/5/501,5.5.2
helo-bare-ip/RRR/5/504,5.5.2 helo-numeric/RRR/5/504,5.5.2 helo-literal-malformed/MMR/0/501,5.5.2
helo-literal-mismatch/MMR/0/550,5.7.1 helo-literal/--M/0/550,5.7.1 helo-localhost/MMR/0.1/550,5.7.1
helo-not-fqdn/MMR/1.2/504,5.5.2 helo-reserved-tld/MMR/0/550,5.7.1 helo-private-tld/MMR/0/550,5.7.1
helo-unknown-tld/MMR/0/550,5.7.1 helo-public-suffix/MMR/0/550,5.7.1 helo-own-address/RRR/5/550,5.7.1
helo-own-name/RRR/5/550,5.7.1 helo-rcpt-domain/MMR/0/550,5.7.1 helo-denied/RRR/5/550,5.7.1
helo-host-denied/RRR/5/550,5.7.1 helo-listed/MRR/0/554,5.7.1 helo-unresolvable/MMR/0/550,5.7.1
helo-bogus-address/MRR/0/550,5.7.1 helo-ip-mismatch/MMM/0/550,5.7.1
helo-ptr-mismatch/MMM/1.2/550,5.7.1 helo-bare-domain/MMM/0.5/550,5.7.1 helo-unverified/MMM/0/550,5.7.1
helo-forged-brand/RRR/5/550,5.7.1 helo-brand-no-ptr/RRR/5/550,5.7.25 helo-brand-host-no-ptr/MMM/0/550,5.7.25
helo-spf/MRR/0/550,5.7.23
helo-generic/MMR/0.3/550,5.7.1 helo-changed/MMM/0/550,5.7.1 helo-shared/---/0/550,5.7.1 helo-many/---/0/550,5.7.1 ptr-missing/MMR/2.4/550,5.7.25
ptr-unconfirmed/MMR/0.4/550,5.7.25 ptr-malformed/MMR/0/550,5.7.25 ptr-reserved/MMR/0/550,5.7.25
ptr-generic/MMM/0.3/550,5.7.25 ptr-dynamic/MMR/0/550,5.7.25 ptr-many/MMM/0/550,5.7.25
ptr-denied/RRR/5/550,5.7.1 ptr-listed/MRR/0/554,5.7.1`)
	const letters = "-MTR"
	for i, r := range checks.All {
		actions := []byte{letters[r.Actions[0]], letters[r.Actions[1]], letters[r.Actions[2]]}
		got := fmt.Sprintf("%s/%s/%g/%d,%s", r.Name, actions, r.Score, r.Code.Reply, r.Code.Enhanced)
		if i >= len(want) || got != want[i] {
			t.Errorf("row %d is %s", i, got)
		}
		if r.Doc == "" || strings.HasSuffix(r.Doc, ".") || !strings.HasSuffix(r.Fix, ".") || r.On == 0 {
			t.Errorf("%s is not a whole row: %+v", r.Name, r)
		}
	}
	if len(checks.All) != len(want) {
		t.Errorf("%d rows, want %d", len(checks.All), len(want))
	}
}
