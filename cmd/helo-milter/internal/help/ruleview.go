package help

import (
	"net/netip"

	"helo-milter/checks"
)

// ruleView is what the page of a rule shows, with a server for an example (RFC 5737, RFC 2606).
type ruleView struct{ *checks.Rule }

// Client is the address of the example.
func (*ruleView) Client() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, 1}) }

// Host is what it is to be called.
func (*ruleView) Host() string { return "mail.example.org" }

// Steps are those of the example, if it fails the rule.
func (r *ruleView) Steps() []checks.Step {
	past := checks.Recorded{Client: r.Client(), Said: true, Reverse: checks.ReverseMissing}
	record := &checks.Record{
		Client: past.Client, Facts: past.Facts(checks.Site{}),
		Findings: []checks.RuleFinding{{Rule: r.Name, Result: checks.Fail, Action: checks.Mark}},
	}
	return checks.AdviseName(record, r.Host()).Steps
}

// AsksDNS reports whether the rule depends on lookups.
func (r *ruleView) AsksDNS() bool { return r.Reads|r.Clears != 0 }

// Refuses reports whether a profile does not accept mail for it.
func (r *ruleView) Refuses() bool {
	return max(r.Actions[0], r.Actions[1], r.Actions[2]) >= checks.TempFail
}

type profile struct{ Name, Does string }

// Profiles are what the profiles do about the rule.
func (r *ruleView) Profiles() []profile {
	does := map[checks.Action]string{
		checks.Off: "nothing", checks.Mark: "notes it, and refuses no mail for it alone",
		checks.TempFail: "defers the mail", checks.Reject: "refuses the mail",
	}
	var list []profile
	for i, name := range []string{"careful", "standard", "strict"} {
		list = append(list, profile{name, does[r.Actions[i]]})
	}
	return list
}

// group are rules about one thing.
type group struct {
	Title string
	Rules []*checks.Rule
}

func groups() []group {
	list := []group{{Title: "Rules about the greeting (HELO)"}, {Title: "Rules about the address (PTR)"}}
	for i := range checks.All {
		rule, at := &checks.All[i], 1
		if ofHelo(rule) {
			at = 0
		}
		list[at].Rules = append(list[at].Rules, rule)
	}
	return list
}
