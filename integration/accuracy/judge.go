package main

import (
	"math"
	"slices"

	"helo-milter/checks"
)

// judge judges hops as the daemon would.
type judge struct {
	assume   assumption
	profile  checks.Profile
	policies [3]*checks.Policy // by profile
}

// judged is the result for a hop or, from perClient, for all hops of a client.
type judged struct {
	*hop
	results []checks.Result
	rules   [3]string // by profile: the rule that refuses the hop, or ""
	score   float64   // summed, under the judge's profile
}

func newJudge(p checks.Profile, actions map[string]checks.Action, scores map[string]float64) *judge {
	j := &judge{profile: p, assume: assumption{helo: elsewhere}}
	for p := range j.policies {
		policy := checks.NewPolicy(checks.Profile(p))
		for rule, action := range actions {
			policy.Actions[checks.Index(rule)] = action
		}
		for rule, score := range scores {
			policy.Scores[checks.Index(rule)] = score
		}
		j.policies[p] = policy
	}
	return j
}

// tally is a file with the results for its hops. Those that are not judged are only counted.
type tally struct {
	*hopsFile
	judged       []judged
	exempt, mute int // exempt; no HELO recorded
}

// lost counts the hops without a name of clients that had one at another time.
func (t *tally) lost() int {
	n := 0
	for _, u := range t.judged {
		if u.lost {
			n++
		}
	}
	return n
}

func (j *judge) tally(file *hopsFile) *tally {
	t := &tally{hopsFile: file}
	known := confirmedNames(file.hops)
	for i := range file.hops {
		h := &file.hops[i]
		switch facts := j.assume.facts(h, known[h.client]); {
		case slices.Contains([]string{"", "-", "?"}, h.helo):
			// In these files that means: whether and what the client said was not recorded.
			t.mute++
		case !h.client.IsValid() || checks.Private(h.client) || h.internal(facts):
			t.exempt++
		default:
			t.judged = append(t.judged, j.judge(h, facts))
		}
	}
	return t
}

func (j *judge) judge(h *hop, facts *checks.Facts) judged {
	findings := checks.Evaluate(facts, nil, "")
	u := judged{hop: h, results: make([]checks.Result, len(findings))}
	for i, f := range findings {
		u.results[i] = f.Result
	}
	for p, policy := range j.policies {
		v := policy.Decide(findings)
		if v.Action >= checks.TempFail {
			u.rules[p] = v.Rule.Name
		}
		if checks.Profile(p) == j.profile {
			u.score = math.Round(v.Score*1e6) / 1e6 // equal sums compare equal, in whatever order they were added
		}
	}
	return u
}
