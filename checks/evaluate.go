package checks

import (
	"slices"

	"helo-milter/checks/enum"
)

// Result is how a rule ended. The order is that in which one greeting's result stands for the session.
type Result uint8

// The results.
const (
	Skip   Result = iota // the rule does not apply
	Pass                 // nothing is wrong
	Unsure               // it looks wrong, but an answer that could say otherwise failed
	Fail
)

var resultWords = enum.Words[Result]{{Skip, "skip"}, {Pass, "pass"}, {Unsure, "unsure"}, {Fail, "fail"}}

func (r Result) String() string { return resultWords.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r Result) MarshalText() ([]byte, error) { return resultWords.Marshal(r) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Result) UnmarshalText(text []byte) error { return resultWords.Unmarshal(r, text) }

// Finding is what a rule found.
type Finding struct {
	Result  Result
	Problem *Problem // for Fail and Unsure; nil for Skip and Pass, which nearly all are
}

// Problem is what is wrong with a client. Its texts are from the network, and not cleaned.
type Problem struct {
	Helo   string // the greeting that was judged, as it was said
	Detail string // what is wrong with it
}

// NoAnswer is the detail of a finding that is unsure because all answers that the rule reads failed.
const NoAnswer = "no answer"

// Evaluate judges the facts by every rule. The findings stand in the order of All. Every greeting is
// judged and the worst result counts, so that a second EHLO is no way around the first. rcpt is the
// domain of the recipient in question, or "". A nil deny list is an empty one.
func Evaluate(f *Facts, deny *DenyList, rcpt string) []Finding {
	findings := make([]Finding, len(All))
	greetings := f.Greetings
	if len(greetings) == 0 {
		greetings = []Greeting{{Helo: f.LastHelo()}}
	}
	c := Case{Facts: f, Deny: deny, Rcpt: rcpt}
	for i := range greetings {
		c.Greeting = &greetings[i]
		o := outcomesOf(&c)
		for j := range All {
			if found := All[j].evaluate(&c, o); found.Result > findings[j].Result {
				findings[j] = found
			}
		}
	}
	return findings
}

// Worst returns, rule by rule, the worse of two findings: those of a message to several recipients.
// Either may be nil.
func Worst(a, b []Finding) []Finding {
	if a == nil {
		return b
	}
	worst, own := a, false
	for i := range b {
		if b[i].Result <= worst[i].Result {
			continue
		}
		if !own {
			worst, own = slices.Clone(a), true
		}
		worst[i] = b[i]
	}
	return worst
}

// evaluate is the one place where a DNS failure becomes unsure: the rules see a failed answer as an empty
// one, and what they hold against the client counts only if every answer they need is there and is fresh. An
// answer that was given counts also while the DNS is degraded and most others fail: NXDOMAIN is no failure,
// and if it did not count, whoever makes questions fail would decide about everybody's mail.
func (r *Rule) evaluate(c *Case, o outcomes) Finding {
	if c.Helo.Form&r.On == 0 {
		return Finding{}
	}
	if r.Clears&Proof != 0 && o.proven {
		return Finding{Result: Pass}
	}
	detail := r.Problem(c)
	switch {
	case detail == "" && r.Reads != 0 && r.Reads&o.asked == 0:
		return Finding{}
	case detail == "" && r.Reads&o.failed&^o.found != 0:
		return Finding{Unsure, &Problem{c.Helo.Raw, NoAnswer}}
	case detail == "":
		return Finding{Result: Pass}
	case r.Clears&o.failed != 0, (r.Reads|r.Clears)&o.stale != 0:
		return Finding{Unsure, &Problem{c.Helo.Raw, detail}}
	default:
		return Finding{Fail, &Problem{c.Helo.Raw, detail}}
	}
}
