package evidence

import (
	"slices"

	"helo-milter/checks"
)

// Judged is a record with what this configuration finds in its facts.
type Judged struct {
	*checks.Record
	findings     []checks.Finding // of a client that is not exempt, or is by the allow list
	exempt       string
	unanswerable []string
	trial        checks.Trial
}

// Judge judges a record for Count. It may be called by several goroutines at once.
func (t *Tally) Judge(r *checks.Record) *Judged {
	j := &Judged{Record: r, unanswerable: t.judge.Unanswerable(r.Facts)}
	if j.findings, j.exempt = again(r, t.judge); j.exempt == "allow" {
		j.findings = checks.Evaluate(r.Facts, t.judge.Deny, "")
	}
	if r.Source == nil {
		j.trial = t.judge.Try(r)
	}
	return j
}

// again judges a record's facts by the current configuration, since the record has no findings of rules that
// were off. The findings in the record count, too: the record may lack recipients of a message with very
// many, and the deny list may have changed. A client that was exempt, or is now, is exempt.
func again(r *checks.Record, judge *checks.Judge) (findings []checks.Finding, exempt string) {
	if r.Exempt != "" {
		return nil, r.Exempt
	}
	s := judge.Reopen(r.Facts)
	s.Mail(r.Time)
	s.Rcpts(r.RcptTo)
	verdict := s.Decision().Verdict
	if verdict.Exempt != "" {
		return nil, verdict.Exempt
	}
	for i, rule := range checks.All {
		if judge.Policy.Actions[i] == checks.Off && !candidate(&rule) {
			verdict.Findings[i] = checks.Finding{}
		}
	}
	for _, found := range r.Findings {
		if found.Rule == checks.Internal {
			return nil, ""
		}
		if i := checks.Index(found.Rule); i >= 0 { // else a rule of another version
			verdict.Findings[i].Result = max(verdict.Findings[i].Result, found.Result)
		}
	}
	return verdict.Findings, ""
}

// candidate reports whether a rule that is off is worth looking at: one that careful has on, or that every profile has
// off, until live mail has shown what it finds.
func candidate(rule *checks.Rule) bool {
	return rule.Actions[checks.Careful] != checks.Off || onTrial(rule)
}

func onTrial(rule *checks.Rule) bool { return rule.Actions == [3]checks.Action{} }

// speaking returns the rules that could be evaluated for a client: those whose HELO was recorded, and whose
// lookups were made and did not fail. unasked are rules whose lookups were not made then.
func speaking(f *checks.Facts, findings []checks.Finding, unasked []string) ruleSet {
	var set ruleSet
	for i, found := range findings {
		rule := &checks.All[i]
		unheard := f.Unheard && rule.On&checks.FormUnheard == 0
		unknown := f.PTR.Status == checks.Unasked && rule.Reads|rule.Clears != 0 ||
			found.Result == checks.Skip && rule.Reads != 0 || slices.Contains(unasked, rule.Name)
		if found.Result == checks.Fail || found.Result != checks.Unsure && !unheard && !unknown {
			set |= 1 << i
		}
	}
	return set
}
