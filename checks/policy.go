package checks

import (
	"net/netip"
	"slices"
	"strings"
	"time"
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

var actionText = []string{"off", "mark", "tempfail", "reject"}

func (a Action) String() string { return actionText[a] }

// MarshalText implements encoding.TextMarshaler.
func (a Action) MarshalText() ([]byte, error) { return marshalEnum(actionText, a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(text []byte) error { return unmarshalEnum(actionText, a, text) }

// answer is what the MTA is told for an action: accept, tempfail or reject.
func (a Action) answer() string {
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

var modeText = []string{"observe", "enforce"}

func (m Mode) String() string { return modeText[m] }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return marshalEnum(modeText, m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error { return unmarshalEnum(modeText, m, text) }

// Profile is a column of the rule table: which actions the rules have by default.
type Profile uint8

// The profiles.
const (
	Careful Profile = iota
	Standard
	Strict
)

var profileText = []string{"careful", "standard", "strict"}

func (p Profile) String() string { return profileText[p] }

// MarshalText implements encoding.TextMarshaler.
func (p Profile) MarshalText() ([]byte, error) { return marshalEnum(profileText, p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Profile) UnmarshalText(text []byte) error { return unmarshalEnum(profileText, p, text) }

// Policy says what is done about findings. It never asks for more of them.
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

// Verdict is what becomes of a recipient, or of a whole message.
type Verdict struct {
	Exempt  string  // why the client is not judged, or ""
	Mode    Mode    // as the policy had it
	Action  Action  // the strictest that a finding asks for
	Rule    *Rule   // the rule that asked; nil when Action is Off
	Finding Finding // what that rule found
	Score   float64 // summed over the failing rules that are not off
}

// Want is what the policy wants, whatever the mode: accept, tempfail, reject or exempt.
func (v *Verdict) Want() string {
	if v.Exempt != "" {
		return "exempt"
	}
	return v.Action.answer()
}

// Did is the action that is carried out: Off when the mail goes on.
func (v *Verdict) Did() Action {
	if v.Mode == Observe || v.Exempt != "" || v.Action < TempFail {
		return Off
	}
	return v.Action
}

// DidText is Did in the words of Want: accept, tempfail or reject.
func (v *Verdict) DidText() string { return v.Did().answer() }

// Judge draws the verdict from the findings of Evaluate. An unsure rule asks for its own action, but
// never for more than OnDNSError.
func (p *Policy) Judge(findings []Finding) Verdict {
	v := Verdict{Mode: p.Mode}
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
	if byScore := p.byScore(v.Score); byScore > v.Action {
		v.Action, v.Rule, v.Finding = byScore, &All[heaviest], findings[heaviest]
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

// Exemptions says which clients are not judged.
type Exemptions struct {
	Private       bool           // the networks that have no place in the public DNS
	Networks      []netip.Prefix // and these
	Authenticated bool           // clients that have logged in
	Allow         []Allow
}

// Allow is an entry of the allow list. A client must be in the network and have a confirmed name; a
// field that is not set does not count.
type Allow struct {
	Network netip.Prefix
	Name    string    // canonical; ".example.org" is everything under it
	Until   time.Time // the entry ends with that moment; zero is never
	Reason  string    // for the administrator
}

// Client returns why a client is exempt by its address alone, or "".
func (e *Exemptions) Client(client netip.Addr) string {
	contains := func(p netip.Prefix) bool { return p.Contains(client) }
	switch {
	case !client.IsValid():
		return "no-address"
	case e.Private && slices.ContainsFunc(privateNetworks, contains):
		return "private"
	case slices.ContainsFunc(e.Networks, contains):
		return "allow"
	default:
		return ""
	}
}

// Login returns why a client that has logged in is exempt, or "".
func (e *Exemptions) Login() string {
	if e.Authenticated {
		return "authenticated"
	}
	return ""
}

// Listed returns why a client is exempt by the allow list, or "".
func (e *Exemptions) Listed(f *Facts, now time.Time) string {
	if slices.ContainsFunc(e.Allow, func(a Allow) bool { return a.covers(f, now) }) {
		return "allow"
	}
	return ""
}

func (a *Allow) covers(f *Facts, now time.Time) bool {
	if !a.Until.IsZero() && now.After(a.Until) {
		return false
	}
	if a.Network.IsValid() && !a.Network.Contains(f.Client) {
		return false
	}
	return a.Name == "" || f.anyConfirmed(func(name string) bool { return covers(a.Name, name) })
}

// covers tells whether a name of a list covers a name: the same, or under it when it begins with a dot.
func covers(listed, name string) bool {
	return name == listed || listed[0] == '.' && strings.HasSuffix(name, listed)
}

// privateNetworks: loopback, link-local, RFC 1918, RFC 6598 (CGNAT) and RFC 4193 (ULA). The
// documentation networks of RFC 5737 and RFC 3849 are not among them.
var privateNetworks = prefixes("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "10.0.0.0/8",
	"172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// unroutable are the networks beside the private ones in which no mail server can be: RFC 6890,
// multicast and what is reserved.
var unroutable = prefixes("0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "::/128",
	"100::/64", "fec0::/10", "ff00::/8")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// routable tells whether a host of that address can be reached over the public Internet.
func routable(addr netip.Addr) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	return !slices.ContainsFunc(privateNetworks, contains) && !slices.ContainsFunc(unroutable, contains)
}
