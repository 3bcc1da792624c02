package checks

import (
	"net/netip"
	"time"
)

// Record is one decision with all that led to it, version 1: what `check --json` prints, and a line of the
// decision log. From its facts the same verdict can be drawn again without DNS.
type Record struct {
	Version  int           `json:"v"`
	Time     time.Time     `json:"time"`
	ID       string        `json:"id"`
	MTA      string        `json:"mta"`
	QueueID  string        `json:"queue_id"`
	Client   netip.Addr    `json:"client"`
	Helo     Helo          `json:"helo"`  // the last one
	Helos    []Helo        `json:"helos"` // every different one
	MailFrom string        `json:"mail_from"`
	RcptTo   []string      `json:"rcpt_to"` // the first ones, see Decision
	Exempt   string        `json:"exempt"`
	Facts    *Facts        `json:"facts"`
	Iprev    string        `json:"iprev"`
	Findings []RuleFinding `json:"findings"`
	Verdict  RecordVerdict `json:"verdict"`
	Header   string        `json:"header"` // as the message got it, or ""
	Millis   float64       `json:"ms"`     // see Decision.Took
	Source   *Source       `json:"source,omitempty"`
}

// Source is where replay has a record from. A record of the daemon or of check has none.
type Source struct {
	Place string `json:"place"` // FILE:LINE, or the file of a message
	// DNS is "recorded" when the facts are those that the receiving host wrote down at the time, and "now" when
	// they were looked up by replay. A record of either kind says nothing about the other.
	DNS   string `json:"dns"`
	Label string `json:"label,omitempty"` // ham or spam, where somebody else has said so
}

// RuleFinding is a finding with the name of its rule.
type RuleFinding struct {
	Rule   string  `json:"rule"`
	Result Result  `json:"result"`
	Action Action  `json:"action"`
	Score  float64 `json:"score"`
	Detail string  `json:"detail"`
}

// RecordVerdict is a verdict as plain text.
type RecordVerdict struct {
	Mode  Mode    `json:"mode"`
	Want  string  `json:"want"`
	Did   string  `json:"did"`
	Rule  string  `json:"rule"`
	Score float64 `json:"score"`
	Reply string  `json:"reply"`
}

// Decision is the outcome of a transaction, with all that a record is made of.
type Decision struct {
	ID       string // the session's
	MTA      string // its name
	QueueID  string
	MailFrom string
	// RcptTo has the recipients in order. Of very many only the first are kept in memory until the end of
	// the message; all of them are judged.
	RcptTo  []string
	Facts   *Facts
	Verdict Verdict // by the worst findings of all recipients
	Did     Action  // the strictest answer that was given: Off when no recipient was refused
	Header  string  // the value that the message got; "" when it got none
	Help    Help
	Time    time.Time     // of MAIL
	Took    time.Duration // from MAIL to the end of the transaction; of a check, that of the lookups
}

// Record writes a decision down. With all, it holds every rule's finding, else only those that failed
// or are unsure and are not off.
func (d *Decision) Record(all bool) *Record {
	f, v := d.Facts, &d.Verdict
	r := &Record{
		Version: 1, Time: d.Time.UTC().Truncate(time.Millisecond), ID: d.ID, MTA: d.MTA, QueueID: d.QueueID,
		Client: f.Client, Helo: f.LastHelo(), Helos: []Helo{}, MailFrom: d.MailFrom,
		RcptTo: append([]string{}, d.RcptTo...), Exempt: v.Exempt, Facts: f, Iprev: f.Iprev(),
		Findings: v.written(all), Header: d.Header, Millis: d.millis(),
	}
	for _, g := range f.Greetings {
		r.Helos = append(r.Helos, g.Helo)
	}
	r.Verdict = RecordVerdict{
		Mode: v.Mode, Want: v.Want(), Did: d.Did.Outcome(), Score: v.Score,
		Reply: v.Reply(f, d.ID, d.Time, &d.Help).String(),
	}
	if v.Rule != nil && v.Exempt == "" {
		r.Verdict.Rule = v.Rule.Name
	}
	return r
}

func (d *Decision) millis() float64 { return float64(d.Took.Microseconds()) / 1000 }

// written are the findings of a record.
func (v *Verdict) written(all bool) []RuleFinding {
	list := []RuleFinding{}
	if v.Internal {
		list = append(list, RuleFinding{Rule: Internal, Result: Unsure, Action: Off})
	}
	if v.Open {
		list = append(list, RuleFinding{Rule: AllowList, Result: Unsure, Action: Off})
	}
	for i, f := range v.Findings {
		action := v.policy.Actions[i]
		if !all && (f.Result < Unsure || action == Off) {
			continue
		}
		detail := ""
		if f.Problem != nil {
			detail = f.Problem.Detail
		}
		list = append(list, RuleFinding{All[i].Name, f.Result, action, v.policy.Scores[i], detail})
	}
	return list
}

// String returns the record as AppendJSON writes it.
func (r *Record) String() string { return string(r.AppendJSON(nil)) }
