package checks

import (
	"fmt"
	"slices"
	"strings"

	"helo-milter/checks/clean"
)

// answered is the reply to those who ask by mail, whether all is well or not. No door can give a 250 a text of ours:
// Sendmail takes only 4xx and 5xx from a milter (MILTER_CHECK_REPLYCODE in its milter.c), and for Postfix another reply
// is malformed, and the milter broken (SMFIR_REPLYCODE in milter8.c). Postfix's access(5) and OpenSMTPD's filters have a
// text only with a refusal. And a mail server shows its users what was refused, seldom the text of a 250.
//
// 550 is a reply that RCPT may have (RFC 5321 §4.3.2), and is not tried again. X.2.0 says that the cause is something
// about the mailbox, which exists (RFC 3463 §3.3): unlike X.7, which senders' tools count as a refusal by policy, and
// X.1, for which lists remove an address.
var answered = Code{550, "5.2.0"}

// broken is the answer where an error of ours kept the rules from judging: RFC 3463 §3.4, other mail system status.
var broken = Code{451, "4.3.0"}

// Asked reports whether a recipient is Judge.Mailbox. Case does not count, nor do angle brackets.
func (j *Judge) Asked(rcpt string) bool {
	if j.Mailbox == "" {
		return false
	}
	rcpt = strings.TrimSuffix(strings.TrimPrefix(rcpt, "<"), ">")
	at, ours := strings.LastIndexByte(rcpt, '@'), strings.LastIndexByte(j.Mailbox, '@')
	return at >= 0 && ours >= 0 && strings.EqualFold(rcpt[:at], j.Mailbox[:ours]) && Domain(rcpt) == Domain(j.Mailbox)
}

// OnlyAsked reports whether nobody but Judge.Mailbox is among the recipients: the transaction is no mail.
func (j *Judge) OnlyAsked(rcpts []string) bool {
	return len(rcpts) > 0 && !slices.ContainsFunc(rcpts, func(rcpt string) bool { return !j.Asked(rcpt) })
}

// ask judges the client for Judge.Mailbox. That does not count as a recipient: a transaction without others is decided
// on as one without any, and has refused nothing.
func (s *Session) ask() {
	s.know()
	if t := &s.mail; t.asked == nil && t.exempt == "" && !t.internal {
		t.asked = Evaluate(t.facts, s.judge.Deny, "")
	}
}

// Answer is the reply to RCPT for Judge.Mailbox, in either mode: what mail to others in its domain would meet. It waits
// and panics as Rcpt does. id is that of the session.
//
// A fault for which mail is refused is said at once, whatever else could not be asked. Otherwise a failed lookup makes the
// answer a temporary one: the client may be right, and its mail server asks again by itself.
func (s *Session) Answer(id string) *Reply {
	s.ask()
	end := []string{"Id: " + clean.Token(id)}
	if s.mail.internal {
		const text = "Not judged: an internal error. Please try again later."
		return &Reply{Code: broken, Lines: []string{text, end[0]}, end: end}
	}
	f := s.Facts()
	v := s.consult(f)
	head, code := v.opening(f), answered
	if v.Exempt != "" {
		head += " Mail from this client is not judged: " + exemptions[v.Exempt] + ". " + v.otherwise(f)
	} else {
		head += " " + v.outlook()
	}
	failed := v.with(Fail)
	if len(failed) > 0 {
		head += " What fails: " + ruleNames(failed) + "."
	}
	details := v.details(f, failed)
	tail := end
	if unsure := v.with(Unsure); len(unsure) > 0 {
		tail = []string{
			"Could not be asked, since DNS lookups failed; try again later: " + ruleNames(unsure) + ".", end[0],
		}
		if v.Action < TempFail || v.Finding.Result == Unsure {
			code = dnsTrouble
		}
	}
	return &Reply{Code: code, Lines: layOut(head, details, tail), end: end}
}

// consult is the verdict on mail to the mailbox's domain. For an exempt client it is what it would be otherwise: where
// nothing was looked up, by the rules that need no lookup.
func (s *Session) consult(f *Facts) Verdict {
	found := Evaluate(f, s.judge.Deny, Domain(s.judge.Mailbox))
	if f.PTR.Status == Unasked {
		for i := range All {
			if All[i].Reads|All[i].Clears != 0 {
				found[i] = Finding{}
			}
		}
	}
	decide := s.judge.Policy.Decide
	if s.mail.open {
		decide = s.judge.Policy.decideOpen
	}
	v := decide(found)
	v.Exempt = s.mail.exempt
	return v
}

// exemptions say why a client is not judged.
var exemptions = map[string]string{
	"private":       "its address is private",
	"no-address":    "the mail server reports no address of it",
	"authenticated": "it has logged in",
	AllowList:       "this server exempts it",
}

// opening says who asks, and what the DNS says of the address.
func (v *Verdict) opening(f *Facts) string {
	who := "an unknown address"
	if f.Client.IsValid() {
		who = f.Client.String()
	}
	switch helo := f.LastHelo(); helo.Form {
	case FormMissing:
		who = "No HELO from " + who + "."
	case FormUnheard:
		who = "From " + who + "."
	default:
		who = fmt.Sprintf("HELO %q from %s.", clean.Reply(helo.Raw), who)
	}
	switch f.Iprev() {
	case "pass":
		who += " Reverse DNS: " + clean.Reply(f.Confirmed()[0]) + ", confirmed."
	case "permerror":
		who += " Reverse DNS: none."
	case "temperror":
		who += " Reverse DNS: could not be asked."
	case "fail":
		who += " Reverse DNS: " + clean.Reply(f.PTR.Values[0].Name) + ", not confirmed."
	}
	if n := len(f.Greetings); n > 0 && (&Case{Facts: f, Greeting: &f.Greetings[n-1]}).Proven() {
		who += " HELO name: proven by the DNS."
	}
	return who
}

// outlook says what becomes of mail.
func (v *Verdict) outlook() string {
	fate := map[Action]string{TempFail: "deferred", Reject: "refused"}[v.Action]
	switch {
	case fate != "" && v.Mode == Observe:
		return "Mail is accepted here for now, but would be " + fate + "."
	case fate != "":
		return "Mail is " + fate + " here."
	case len(v.with(Fail)) > 0:
		return "Mail is accepted here; others may refuse it."
	case len(v.with(Unsure)) > 0:
		return "Nothing is wrong, as far as it is known."
	default:
		return "All is well."
	}
}

// otherwise says what an exempt client would meet.
func (v *Verdict) otherwise(f *Facts) string {
	if f.PTR.Status == Unasked && len(v.with(Fail)) == 0 {
		return "Nothing is wrong with its HELO as such; nothing was looked up."
	}
	return "Without that: " + v.outlook()
}

// with returns the rules that ended so and count, by their index: the strictest first.
func (v *Verdict) with(result Result) (rules []int) {
	for i, f := range v.Findings {
		if f.Result == result && v.policy.Actions[i] != Off {
			rules = append(rules, i)
		}
	}
	slices.SortStableFunc(rules, func(a, b int) int { return int(v.policy.Actions[b]) - int(v.policy.Actions[a]) })
	return rules
}

func ruleNames(rules []int) string {
	names := make([]string, len(rules))
	for i, rule := range rules {
		names[i] = All[rule].Name
	}
	return strings.Join(names, ", ")
}

// details say what is wrong, rule by rule, and what to change, once where it is the same.
func (v *Verdict) details(f *Facts, rules []int) (details []string) {
	said := map[string]bool{}
	for _, i := range rules {
		rule, problem := &All[i], v.Findings[i].Problem
		text := rule.Name
		helo, detail := clean.Reply(problem.Helo), clean.Reply(problem.Detail)
		switch ofHelo := strings.HasPrefix(rule.Name, "helo-"); {
		case ofHelo && problem.Helo != f.LastHelo().Raw:
			text += fmt.Sprintf(" (HELO %q)", helo)
		case detail != helo && detail != f.Client.String() && rule.On != FormMissing:
			text += " (" + detail + ")"
		}
		text += ": " + rule.Doc + "."
		if !said[rule.Fix] {
			text += " " + rule.Fix
		}
		said[rule.Fix] = true
		details = append(details, text)
	}
	return details
}

// layOut makes the lines of a reply: each part has its own, or else they are filled. Details that do not fit are left
// out, the last first.
func layOut(head string, details, tail []string) []string {
	for {
		parts := slices.Concat([]string{head}, details, tail)
		long := func(part string) bool { return len(part) > replyLine }
		if len(parts) <= replyLines && !slices.ContainsFunc(parts, long) {
			return parts
		}
		text := strings.Join(parts, " ")
		if lines := wrap(text); len(details) == 0 || strings.Join(lines, " ") == text {
			return lines
		}
		details = details[:len(details)-1]
	}
}
