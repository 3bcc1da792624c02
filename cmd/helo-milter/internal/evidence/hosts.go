package evidence

import (
	"maps"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Host is what a mail server decided. Every figure is of transactions.
type Host struct {
	Name         string    `json:"mta"`
	Transactions int       `json:"transactions"`
	Exempt       int       `json:"exempt"`
	Accept       int       `json:"accept"` // wanted, as are the next two
	TempFail     int       `json:"tempfail"`
	Reject       int       `json:"reject"`
	Refused      int       `json:"refused"` // deferred or rejected: in observe mode none is
	Unsure       int       `json:"rules_unsure"`
	Last         time.Time `json:"last"`
}

// maxHosts is how many hosts are distinguished: the first ones.
const maxHosts = 100

// The names of a host that a record does not name, and of those beyond maxHosts.
const unnamed, otherHosts = "(no name)", "(others)"

type hosts map[string]*Host

// of returns the host that wrote a record.
func (h hosts) of(r *checks.Record) *Host {
	name := clean.Report(r.MTA)
	if name == "" {
		name = unnamed
	}
	if h[name] == nil && len(h) >= maxHosts {
		name = otherHosts
	}
	if h[name] == nil {
		h[name] = &Host{Name: name}
	}
	return h[name]
}

// Count counts a transaction.
func (h *Host) Count(j *Judged) {
	h.Transactions++
	if at := j.Time.UTC(); at.After(h.Last) {
		h.Last = at
	}
	if j.exempt != "" {
		h.Exempt++
		return
	}
	switch j.Verdict.Want {
	case "reject":
		h.Reject++
	case "tempfail":
		h.TempFail++
	default:
		h.Accept++
	}
	h.Refused += count(refused(j.Verdict.Did))
	h.Unsure += count(slices.ContainsFunc(j.findings, func(f checks.Finding) bool { return f.Result == checks.Unsure }))
}

// refused reports whether an action in a record's verdict refuses mail.
func refused(action string) bool { return action == "reject" || action == "tempfail" }

// sorted returns the hosts by name.
func (h hosts) sorted() []Host {
	list := []Host{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		list = append(list, *h[name])
	}
	return list
}

// HostRow is a row of the table of hosts, with a cell for each.
type HostRow struct {
	Name  string
	Cells []string
}

// HostTables returns the hosts for tables of at most columns hosts each; none unless there are several hosts.
// Of more than maxShown, which a mailbox of many years can have, those with the least transactions are summed.
func (s *Section) HostTables(columns int) [][]Host {
	const maxShown = 24
	list := slices.Clone(s.Hosts)
	if len(list) < 2 {
		return nil
	}
	if len(list) > maxShown {
		slices.SortStableFunc(list, func(a, b Host) int { return b.Transactions - a.Transactions })
		rest := Host{Name: otherHosts}
		for i := range list[maxShown:] {
			rest.add(&list[maxShown+i])
		}
		list = list[:maxShown]
		slices.SortFunc(list, func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
		list = append(list, rest)
	}
	return slices.Collect(slices.Chunk(list, columns))
}

func (h *Host) add(o *Host) {
	h.Transactions += o.Transactions
	h.Exempt += o.Exempt
	h.Accept += o.Accept
	h.TempFail += o.TempFail
	h.Reject += o.Reject
	h.Refused += o.Refused
	h.Unsure += o.Unsure
	if o.Last.After(h.Last) {
		h.Last = o.Last
	}
}

// HostRows returns the rows of a table of hosts.
func HostRows(list []Host) []HostRow {
	rows := []HostRow{
		{Name: "transactions"},
		{Name: "exempt"},
		{Name: "accept"},
		{Name: "tempfail"},
		{Name: "reject"},
		{Name: "refused"},
		{Name: "lookups failed"},
		{Name: "last record"},
	}
	for i := range list {
		h := &list[i]
		for row, n := range []int{h.Transactions, h.Exempt, h.Accept, h.TempFail, h.Reject, h.Refused, h.Unsure} {
			rows[row].Cells = append(rows[row].Cells, Group(n))
		}
		last := &rows[len(rows)-1]
		last.Cells = append(last.Cells, h.Last.Format("01-02 15:04"))
	}
	return rows
}

// hostNote explains the rows of these tables.
const hostNote = "Accept, tempfail and reject are what the policy wanted; refused is what was in fact deferred " +
	"or rejected."
