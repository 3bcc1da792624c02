package checks_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// decided is the record of a client of world, by a configuration.
func decided(t *testing.T, j *checks.Judge, client, helo string, change func(*checks.Facts)) *checks.Record {
	t.Helper()
	dns := &checks.DNS{Resolver: checkstest.Parse(t, world), Timeout: time.Second}
	addr := netip.MustParseAddr(client)
	open := j.Open(t.Context(), dns, addr, j.Site) // asks no DNS for a client that is exempt
	defer open.Close()
	open.Greet(checks.ParseHelo(helo))
	open.Mail(time.Time{})
	open.Rcpt("")
	facts := open.Facts()
	if change != nil {
		change(facts)
	}
	s := j.Reopen(facts)
	s.Mail(time.Date(2026, 11, 10, 8, 0, 0, 0, time.UTC))
	if facts.Login {
		s.LoggedIn()
	}
	rcpts := []string{"one@example.net", "two@example.com"}
	s.Rcpts(rcpts)
	d := s.Decision()
	d.ID, d.MTA, d.RcptTo = "x", "", rcpts
	r := new(checks.Record)
	if err := json.Unmarshal([]byte(d.Record(false).String()), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func newJudge(change func(*checks.Judge)) *checks.Judge {
	j := &checks.Judge{
		Exempt: &checks.Exemptions{Private: true, Authenticated: true}, Deny: &checks.DenyList{},
		Policy: checks.NewPolicy(checks.Standard),
	}
	if change != nil {
		change(j)
	}
	return j
}

func enforce(j *checks.Judge) { j.Policy.Mode = checks.Enforce }

// A record is judged again: by the configuration that made it to the byte, and by another one as that would
// have judged it.
func TestAgain(t *testing.T) {
	listed := func(f *checks.Facts) {
		f.Greetings[0].Lists = checks.Answer[string]{Status: checks.Found, Values: []string{"dbl.example"}}
	}
	lists := func(j *checks.Judge) { j.Lists = []string{"dbl.example"} }
	login := func(f *checks.Facts) { f.Login = true }
	strict := func(j *checks.Judge) { j.Policy = checks.NewPolicy(checks.Strict) }
	allow := checks.Allow{Name: ".example.org", Until: time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)}
	allowed := func(j *checks.Judge) { j.Exempt.Allow(allow) }
	domain := "HELO is the recipient's"
	rejects := func(j *checks.Judge) { j.Policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject }
	for _, tt := range []struct {
		what, client, helo string
		made               func(*checks.Judge)
		facts              func(*checks.Facts)
		want               string
		again              func(*checks.Judge)
		wantAgain          string
	}{
		{"good", "203.0.113.1", "mail.example.org", nil, nil, "accept", strict, "accept"},
		{"one label", "203.0.113.1", "friend", nil, nil, "accept", strict, "reject helo-not-fqdn"},
		{"no longer", "203.0.113.1", "friend", strict, nil, "reject helo-not-fqdn", nil, "accept"},
		{"enforced", "203.0.113.1", "203.0.113.1", nil, nil, "reject helo-bare-ip", enforce, "reject helo-bare-ip did"},
		{domain, "203.0.113.1", "example.com", nil, nil, "accept", rejects, "reject helo-rcpt-domain"},
		{"private", "10.0.0.1", "friend", nil, nil, "exempt private", strict, "exempt private"},
		{"not exempt", "10.0.0.1", "friend", nil, nil, "exempt private", without, "cannot be judged"},
		{"allowed then", "203.0.113.1", "friend", allowed, nil, "exempt allow", strict, "reject helo-not-fqdn"},
		{"allowed now", "203.0.113.1", "friend", nil, nil, "accept", allowed, "exempt allow"},
		{"a login", "203.0.113.1", "friend", nil, login, "exempt authenticated", strict, "exempt authenticated"},
		{"a login", "203.0.113.1", "friend", nil, login, "exempt authenticated", without, "accept"},
		{"listed", "203.0.113.1", "mail.example.org", lists, listed, "reject helo-listed", lists, "reject helo-listed"},
		{"no list", "203.0.113.1", "mail.example.org", lists, listed, "reject helo-listed", nil, "accept"},
		{"our name", "203.0.113.9", "mail.example.org", nil, nil, "accept", ours, "reject helo-own-name"},
		{"our host", "203.0.113.1", "mail.example.org", nil, nil, "accept", ours, "accept"},
	} {
		made := newJudge(tt.made)
		r := decided(t, made, tt.client, tt.helo, tt.facts)
		if got := outcome(r); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
		if again := made.Again(r); again == nil || again.String() != r.String() {
			t.Errorf("%s: judged again\n%s\nnot\n%s", tt.what, again, r)
		}
		if got := outcome(newJudge(tt.again).Again(r)); got != tt.wantAgain {
			t.Errorf("%s: again %s, want %s", tt.what, got, tt.wantAgain)
		}
	}
}

func without(j *checks.Judge) { j.Exempt = &checks.Exemptions{} }

func ours(j *checks.Judge) { j.Site.Names = []string{".example.org"} }

func outcome(r *checks.Record) string {
	if r == nil {
		return "cannot be judged"
	}
	words := []string{r.Verdict.Want}
	switch {
	case r.Exempt != "":
		words = append(words, r.Exempt)
	case r.Verdict.Reply != "":
		words = append(words, r.Verdict.Rule)
	}
	if r.Verdict.Did != "accept" {
		words = append(words, "did")
	}
	return strings.Join(words, " ")
}

// An internal error stays one, and a recipient that was refused before it stays refused.
func TestAgainInternal(t *testing.T) {
	j := newJudge(enforce)
	d := &checks.Decision{
		ID: "x", Facts: &checks.Facts{}, Verdict: checks.Verdict{Internal: true, Mode: checks.Enforce},
		Did: checks.Reject,
	}
	r := d.Record(false)
	if again := j.Again(r); again.String() != r.String() {
		t.Errorf("judged again\n%s\nnot\n%s", again, r)
	}
}

// Rules that need an answer that was not asked for are named.
func TestUnanswerable(t *testing.T) {
	asked := func(f *checks.Facts) { f.Lists = []string{"old.example"} }
	r := decided(t, newJudge(nil), "203.0.113.1", "mail.example.org", asked)
	old := func(j *checks.Judge) { j.Lists = []string{"old.example"} }
	lists := func(j *checks.Judge) { j.Lists = []string{"old.example", "dbl.example"} }
	hosts := func(j *checks.Judge) { j.Deny.Add(checks.Deny{Network: netip.MustParsePrefix("192.0.2.0/24")}) }
	for want, change := range map[string]func(*checks.Judge){
		"": old, "helo-listed ptr-listed": lists, "helo-host-denied": hosts,
	} {
		if got := strings.Join(newJudge(change).Unanswerable(r.Facts), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
