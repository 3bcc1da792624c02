package checks

import (
	"math"

	"helo-milter/checks/enum"
)

// Action is what a failing rule asks for. The order is the policy: the strictest wins.
type Action uint8

// The actions.
const (
	Off Action = iota
	Mark
	TempFail
	Reject
)

var actionWords = enum.Words[Action]{{Off, "off"}, {Mark, "mark"}, {TempFail, "tempfail"}, {Reject, "reject"}}

func (a Action) String() string { return actionWords.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a Action) MarshalText() ([]byte, error) { return actionWords.Marshal(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(text []byte) error { return actionWords.Unmarshal(a, text) }

// Outcome is what the MTA is told for an action: accept, tempfail or reject.
func (a Action) Outcome() string {
	if a < TempFail {
		return "accept"
	}
	return a.String()
}

// Mode says whether verdicts are carried out.
type Mode uint8

// The modes.
const (
	Observe Mode = iota // every answer is accept; header and log say what it would have been
	Enforce
)

var modeWords = enum.Words[Mode]{{Observe, "observe"}, {Enforce, "enforce"}}

func (m Mode) String() string { return modeWords.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return modeWords.Marshal(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error { return modeWords.Unmarshal(m, text) }

// Profile is a column of the rule table: which actions the rules have by default.
type Profile uint8

// The profiles.
const (
	Careful Profile = iota
	Standard
	Strict
)

var profileWords = enum.Words[Profile]{{Careful, "careful"}, {Standard, "standard"}, {Strict, "strict"}}

func (p Profile) String() string { return profileWords.Text(p) }

// MarshalText implements encoding.TextMarshaler.
func (p Profile) MarshalText() ([]byte, error) { return profileWords.Marshal(p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Profile) UnmarshalText(text []byte) error { return profileWords.Unmarshal(p, text) }

// Policy says what is done about findings. It never asks for more of them, and must not be modified once in use.
type Policy struct {
	Mode       Mode
	OnDNSError Action    // the most that an unsure rule can ask for: Off or TempFail
	Actions    []Action  // by the rules' order in All
	Scores     []float64 // the same
	TempFailAt float64   // summed score from which a client is tempfailed; 0 is never
	RejectAt   float64   // the same for a reject
}

// NewPolicy returns the policy of a profile: observing, with the table's scores.
func NewPolicy(p Profile) *Policy {
	policy := &Policy{Actions: make([]Action, len(All)), Scores: make([]float64, len(All))}
	for i, r := range All {
		policy.Actions[i], policy.Scores[i] = r.Actions[p], r.Score
	}
	return policy
}

// Internal stands in the place of a rule's name where an error of ours kept all rules from being asked.
const Internal = "internal"

// Verdict is what becomes of a recipient, or of a whole message.
type Verdict struct {
	Exempt string // why the client is not judged, or ""
	// Internal reports that an internal error kept the policy from deciding. The mail goes on, and Internal
	// is listed as unsure in place of a rule.
	Internal bool
	// Open reports that a failed lookup left open whether the allow list exempts the client. "allow" is listed as
	// unsure among the rules, and the verdict is at most that of an unsure rule.
	Open bool
	Mode Mode // as the policy had it

	Action  Action  // the strictest that a finding asks for
	Rule    *Rule   // the rule that asked; nil when Action is Off
	Finding Finding // what that rule found
	Score   float64 // summed over the failing rules that are not off

	// Findings are those that were decided on, in the order of All: nil where the client was not judged.
	Findings []Finding
	policy   *Policy // that decided, where there are findings
}

// Want is what the policy wants, whatever the mode: accept, tempfail, reject or exempt.
func (v *Verdict) Want() string {
	if v.Exempt != "" {
		return "exempt"
	}
	return v.Action.Outcome()
}

// Did is the action that is carried out: Off when the mail goes on.
func (v *Verdict) Did() Action {
	if v.Mode == Observe || v.Exempt != "" || v.Action < TempFail {
		return Off
	}
	return v.Action
}

// Decide draws the verdict from the findings of Evaluate, which the verdict keeps. An unsure rule asks for its own
// action, but never for more than OnDNSError.
func (p *Policy) Decide(findings []Finding) Verdict {
	v := Verdict{Mode: p.Mode, Findings: findings, policy: p}
	heaviest := -1
	for i, f := range findings {
		action := p.Actions[i]
		switch f.Result {
		case Fail:
			if action == Off {
				continue
			}
			v.Score += p.Scores[i]
			if heaviest < 0 || p.Scores[i] > p.Scores[heaviest] {
				heaviest = i
			}
		case Unsure:
			if action = min(action, p.OnDNSError); action < TempFail {
				continue
			}
		default:
			continue
		}
		if action > v.Action {
			v.Action, v.Rule, v.Finding = action, &All[i], f
		}
	}
	v.Score = math.Round(v.Score*1e6) / 1e6 // 0.1 + 0.2 reaches a threshold of 0.3
	if byScore := p.byScore(v.Score); byScore > v.Action {
		v.Action, v.Rule, v.Finding = byScore, &All[heaviest], findings[heaviest]
	}
	return v
}

// decideOpen is Decide for a client that the allow list may exempt: the verdict is as if the rule that decided were
// unsure.
func (p *Policy) decideOpen(findings []Finding) Verdict {
	v := p.Decide(findings)
	v.Open = true
	if most := max(p.OnDNSError, Mark); v.Action > most {
		v.Action, v.Finding.Result = most, Unsure
	}
	return v
}

func (p *Policy) byScore(score float64) Action {
	switch {
	case p.RejectAt > 0 && score >= p.RejectAt:
		return Reject
	case p.TempFailAt > 0 && score >= p.TempFailAt:
		return TempFail
	default:
		return Off
	}
}
