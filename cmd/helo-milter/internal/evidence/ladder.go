package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/wilson"
)

// The evidence required before anything is recommended. With no hit among 200 clients, the 95 % interval ends
// at 1.9 %; and a week has every kind of day.
const (
	minClients = 200
	minDays    = 7
	// The largest share of legitimate-looking clients that a rule may hit, by the upper end of the interval.
	// For a provable rule it is enough that there were some such clients, and none was hit.
	maxShare    = 0.02
	maxProvable = 0.1
)

// Recommendation is the advice about a rule. The ladder is in the order of recommendations, safest first.
type Recommendation string

// The recommendations.
const (
	Enforce Recommendation = "enforce" // no evidence against it, and enough for it
	Wait    Recommendation = "wait"    // no evidence against it, but too little for it
	Look    Recommendation = "look"    // it hits legitimate-looking clients, which the postmaster has to look at
	Never   Recommendation = "never"   // no profile enforces it
	NoHits  Recommendation = "no hits" // it hit no client
	NoSay   Recommendation = "no say"  // it could not be evaluated for any client
)

var recommendations = []Recommendation{Enforce, Wait, Look, Never, NoHits, NoSay}

// Rung is a rule on the ladder. It counts clients, not transactions: a client is one decision of a
// postmaster, however much it sends.
type Rung struct {
	Rule           string         `json:"rule"`
	Recommendation Recommendation `json:"advice"`
	Why            string         `json:"why"`
	Enforced       bool           `json:"enforced"` // already, by the configuration
	Hits           int            `json:"hits"`     // transactions
	All            Share          `json:"all"`      // of the judged clients that it could be evaluated for
	Good           Share          `json:"good"`     // of the legitimate-looking clients
	Against        []Reason       `json:"against"`  // the clients of Good that are hit, by why they look legitimate
}

// Share is how many clients of a group are hit by a rule.
type Share struct {
	Hit    int     `json:"hit"`
	Of     int     `json:"of"`
	AtMost float64 `json:"at_most"` // the upper end of the 95 % interval
}

// Reason is why clients look legitimate. A client can have several.
type Reason struct {
	Name    string `json:"name"`
	Doc     string `json:"doc"`
	Clients int    `json:"clients"`
}

// witnesses are the looks in the order of the report.
var witnesses = []struct {
	look looks
	name string
	doc  string
}{
	{ham, "ham", "labelled ham"},
	{allowed, "allow", "on the allow list"},
	{login, "login", "in a network from which users log in"},
	{confirmed, "confirmed", "with a HELO that the PTR confirms"},
	{spfPass, "spf", "with a HELO that passes SPF"},
	{named, "named", "with a confirmed PTR name that is not dynamic"},
}

// provable reports whether the careful profile rejects for a rule: what it finds is false whoever the client
// is.
func provable(rule int) bool { return checks.All[rule].Actions[checks.Careful] == checks.Reject }

// against returns the looks that are evidence against a rule if it hits a client with one of them. Spammers
// have hosts with PTR names, too, so a name is no evidence against a provable rule.
func against(rule int) looks {
	if provable(rule) {
		return confirmed | spfPass | allowed | login | ham
	}
	return confirmed | spfPass | named | allowed | login | ham
}

// speaksFor returns the looks that are evidence for a rule if it does not hit clients with one of them. A
// rule about the PTR cannot hit a client with a good one, and most rules cannot hit a HELO that is confirmed
// or passes SPF: that such clients are not hit proves nothing.
func speaksFor(rule int) looks {
	const ptr = checks.PTRNames | checks.PTRAddrs | checks.PTRLists | checks.PTRDenied
	switch {
	case provable(rule):
		return against(rule)
	case (checks.All[rule].Reads|checks.All[rule].Clears)&ptr != 0:
		return allowed | login | ham
	default:
		return allowed | login | ham | named
	}
}

// climb makes the ladder and the configuration to paste.
func (s *Section) climb(c *counts, policy *checks.Policy, own []*checks.Action) {
	s.Missing = s.missing()
	for i := range checks.All {
		rung := c.rung(i)
		rung.Enforced = policy.Mode == checks.Enforce && policy.Actions[i] >= checks.TempFail
		rung.Recommendation, rung.Why = rung.recommend(i, s.Missing)
		s.Ladder = append(s.Ladder, rung)
	}
	refusing, after := ruleSet(0), s.pasted(policy) // both in the table's order
	for i, action := range after {
		if action >= checks.TempFail {
			refusing |= 1 << i
		}
	}
	for i := range c.clients {
		s.Enforce += count(c.clients[i].judged() && c.clients[i].hit&refusing != 0)
	}
	s.TOML = s.toml(policy, after, own)
	slices.SortStableFunc(s.Ladder, func(a, b Rung) int {
		return cmp.Or(
			slices.Index(recommendations, a.Recommendation)-slices.Index(recommendations, b.Recommendation),
			count(provable(checks.Index(b.Rule)))-count(provable(checks.Index(a.Rule))),
			cmp.Compare(a.Good.AtMost, b.Good.AtMost), b.All.Hit-a.All.Hit)
	})
}

// missing returns why there is too little evidence for any recommendation; empty if there is enough.
func (s *Section) missing() []string {
	list := []string{}
	if s.Clients < minClients {
		list = append(list, fmt.Sprintf("%s judged, %d required: %d more needed",
			Plural(s.Clients, "client"), minClients, minClients-s.Clients))
	}
	if s.Days < minDays {
		list = append(list, fmt.Sprintf("%s with judged mail, %d required: %d more needed",
			Plural(s.Days, "day"), minDays, minDays-s.Days))
	}
	if trouble := max(s.Trouble.Unsure, s.Trouble.Degraded); s.DNS != recorded && 2*trouble > s.Judged {
		list = append(list, fmt.Sprintf("DNS lookups failed for %s of %s, more than half",
			Group(trouble), Plural(s.Judged, "judged transaction")))
	}
	return list
}

// rung gathers the evidence about a rule.
func (c *counts) rung(rule int) Rung {
	s := Rung{Rule: checks.All[rule].Name, Hits: c.rules[rule].hits, Against: []Reason{}}
	byReason := make([]int, len(witnesses))
	for i := range c.clients {
		who := &c.clients[i]
		if !who.spoke.has(rule) {
			continue
		}
		hit := who.hit.has(rule)
		if who.judged() {
			s.All.Of++
			s.All.Hit += count(hit)
		}
		bad := hit && who.settled&against(rule) != 0
		s.Good.Hit += count(bad)
		s.Good.Of += count(bad || !hit && who.settled&speaksFor(rule) != 0)
		for i, w := range witnesses {
			byReason[i] += count(bad && who.settled&against(rule)&w.look != 0)
		}
	}
	_, s.All.AtMost = wilson.Interval(s.All.Hit, s.All.Of)
	_, s.Good.AtMost = wilson.Interval(s.Good.Hit, s.Good.Of)
	for i, n := range byReason {
		if n > 0 {
			s.Against = append(s.Against, Reason{witnesses[i].name, witnesses[i].doc, n})
		}
	}
	return s
}

// recommend says what to do about a rule, and why.
func (s *Rung) recommend(rule int, missing []string) (Recommendation, string) {
	row := &checks.All[rule]
	switch {
	case row.Actions[checks.Strict] != checks.Reject && strings.HasSuffix(row.Name, "-mismatch"):
		return Never, "RFC 5321 §4.1.4 forbids refusing mail because the HELO does not match the client."
	case row.Actions[checks.Strict] != checks.Reject && !onTrial(row):
		return Never, "No profile enforces it: it only adds to the score (see [scores])."
	case s.idle() && s.All.Of == 0:
		return NoSay, "It could not be evaluated for any client."
	case s.idle():
		return NoHits, "No client failed it in this period."
	case onTrial(row):
		return Never, "Every profile has it off, until live mail has shown what it finds that others miss."
	case s.Good.Hit > 0:
		return Look, "It hits legitimate-looking clients: " + s.reasons() + "."
	case len(missing) > 0:
		return Wait, "There is too little evidence so far."
	case s.All.Of < minClients:
		return Wait, fmt.Sprintf("It was evaluated for %s, and %d are required.",
			Plural(s.All.Of, "client"), minClients)
	case s.Good.AtMost > limit(rule):
		return Wait, fmt.Sprintf("It hits no legitimate-looking client, but only %d could have been hit: "+
			"the true share may be as high as %.1f %%, and the limit is %.0f %%.",
			s.Good.Of, 100*s.Good.AtMost, 100*limit(rule))
	case provable(rule):
		return Enforce, "It hits no legitimate-looking client, and even the careful profile enforces it."
	default:
		return Enforce, "It hits no legitimate-looking client."
	}
}

func limit(rule int) float64 {
	if provable(rule) {
		return maxProvable
	}
	return maxShare
}

func (s *Rung) reasons() string {
	var list []string
	for _, r := range s.Against {
		list = append(list, fmt.Sprintf("%d %s", r.Clients, r.Doc))
	}
	return strings.Join(list, ", ")
}
