package console

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

// clientsView is a search for clients; without one, it has those that are refused most.
type clientsView struct {
	fine
	choices
	Filter   filter
	Wrong    string // with the filter
	Searched bool
	Records  int
	More     int  // decisions of clients beyond the first ones
	Late     bool // the time was up
	Failed   bool // not all could be read
	Table    table
}

func (v *clientsView) template() string { return "clients" }
func (v *clientsView) tables() []*table { return []*table{&v.Table} }

func (c *Console) clients(r *http.Request) (view, error) {
	wanted, err := filterOf(r.URL.Query())
	switch {
	case err != nil:
		return &clientsView{choices: c.choices(), Filter: wanted, Wrong: err.Error()}, nil
	case wanted.Empty():
		return &clientsView{choices: c.choices(), Table: c.refusedMost()}, nil
	}
	ctx, leave, err := c.query(r, queryTime)
	if err != nil {
		return nil, err
	}
	defer leave()
	found := c.search(ctx, c.kept(), &wanted, false)
	v := &clientsView{
		choices: c.choices(), Failed: found.Failed,
		Filter: wanted, Searched: true, Records: found.Records, More: found.More, Late: ctx.Err() != nil, Table: found.table(),
	}
	v.Table.filter = &v.Filter
	return v, nil
}

var clientColumns = []column{
	{"client", "Client", "mono"},
	{"decisions", "Decisions", "n"},
	{"would_refuse", "Would refuse", "n"},
	{"first", "First, UTC", ""},
	{"last", "Last, UTC", ""},
	{"rule", "Rule", ""},
	{"helo", "HELO, last", "mono"},
	{"ptr", "PTR, last", "mono"},
}

// table is the clients of a search.
func (f *found) table() table {
	t := table{Name: "clients", Title: "Clients", Columns: clientColumns}
	for _, one := range f.list() {
		t.Rows = append(t.Rows, []cell{
			clientCell(one.Addr), number(one.Count), number(one.refused()), moment(one.First), moment(one.Last),
			words(one.rule()), machine(one.latest.Helo.Raw), machine(rowOf(one.latest).PTR),
		})
	}
	return t
}

func clientCell(addr netip.Addr) cell {
	return cell{Text: addr.String(), Link: "client/" + addr.String()}
}

func moment(at time.Time) cell {
	return cell{Text: at.UTC().Format("2006-01-02 15:04"), Raw: at.UTC().Format(time.RFC3339)}
}

func (c *client) refused() int { return c.Wants["reject"] + c.Wants["tempfail"] }

// rule is what the client would be refused for most often.
func (c *client) rule() (most string) {
	for rule, n := range c.Rules {
		if n > c.Rules[most] || n == c.Rules[most] && rule < most {
			most = rule
		}
	}
	return most
}

// refusedMost are the clients of the report.
func (c *Console) refusedMost() table {
	t := table{Name: "refused", Title: "Clients that would be refused most", Columns: []column{
		{"client", "Client", "mono"},
		{"would_refuse", "Mail", "n"},
		{"last", "Last, UTC", ""},
		{"rule", "Rule", ""},
		{"helo", "HELO", "mono"},
		{"ptr", "PTR", "mono"},
		{"looks_legitimate", "Looks legitimate", ""},
	}}
	s := c.section()
	if s == nil {
		return t
	}
	for i := range s.Top {
		one := &s.Top[i]
		good := cell{Text: "no", Raw: one.Good}
		if one.Good {
			good = cell{Text: "yes", Bad: true, Raw: true}
		}
		t.Rows = append(t.Rows, []cell{
			clientCell(one.Client), number(one.Refused), moment(one.Last), ruleCell(one.Rule), machine(one.Helo),
			machine(one.PTR), good,
		})
	}
	t.Note = fmt.Sprintf("%d of %s.", len(s.Top), plural(s.RefusedBy, "client"))
	return t
}

func ruleCell(rule string) cell {
	if rule == "" {
		return cell{}
	}
	return cell{Text: rule, Link: "rules/" + rule}
}

// section is the evidence of the daemon's own decisions, or nil before the first.
func (c *Console) section() *evidence.Section {
	r := c.evidence().reported()
	if len(r.Sections) == 0 || r.Sections[0].DNS != "live" {
		return nil
	}
	return &r.Sections[0]
}

// clientView is all that is kept of a client.
type clientView struct {
	fine
	*client
	Days    table
	Helos   table
	PTRs    table
	Rows    []*rowView
	Latest  *decisionText
	Late    bool
	Failed  bool
	Fleet   bool
	Outcome string
}

func (v *clientView) template() string { return "client" }
func (v *clientView) tables() []*table { return []*table{&v.Days, &v.Helos, &v.PTRs} }

func (c *Console) client(r *http.Request) (view, error) {
	addr, err := addressIn(r, "address")
	if err != nil {
		return nil, err
	}
	ctx, leave, err := c.query(r, queryTime)
	if err != nil {
		return nil, err
	}
	defer leave()
	cfg := c.settings.Load().Config
	found := c.search(ctx, c.kept(), &filter{Client: netip.PrefixFrom(addr, addr.BitLen())}, true)
	one := found.clients[addr]
	if one == nil {
		return nil, &wrong{http.StatusNotFound, "No decision that is kept is about this client."}
	}
	one.cut()
	v := &clientView{
		client: one, Days: one.days(), Helos: one.Helos.table("helos", "What it said (HELO)"),
		PTRs: one.PTRs.table("ptr", "What its PTR said"), Latest: textOf(one.latest, cfg.Header.Name), Late: ctx.Err() != nil,
		Failed: found.Failed, Fleet: c.settings.Load().Fleet != nil, Outcome: one.outcome(),
	}
	for _, d := range one.Decided {
		v.Rows = append(v.Rows, c.rowOf(d.host, d.Record))
	}
	return v, nil
}

// outcome says what has become of the client's mail, or would have.
func (c *client) outcome() string {
	var parts []string
	for _, want := range []string{"accept", "reject", "tempfail", "exempt"} {
		if n := c.Wants[want]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", want, group(n)))
		}
	}
	return strings.Join(parts, ", ")
}

func (c *client) days() table {
	t := table{Name: "days", Title: "By day", Columns: []column{
		{"day", "Day", ""},
		{"decisions", "Decisions", "n"},
		{"would_refuse", "Would refuse", "n"},
	}}
	for day, n := range c.Days {
		t.Rows = append(t.Rows, []cell{words(day), number(n.Count), number(n.Refused)})
	}
	slices.SortFunc(t.Rows, func(a, b []cell) int { return strings.Compare(b[0].Text, a[0].Text) })
	return t
}

func (s said) table(name, title string) table {
	t := table{Name: name, Title: title, Columns: []column{
		{"text", "Text", "mono"},
		{"decisions", "Decisions", "n"},
		{"first", "First, UTC", ""},
		{"last", "Last, UTC", ""},
	}}
	for _, one := range s.list() {
		shown := cell{Text: clean.Quoted(one.Text, clean.Whole), Raw: one.Text}
		t.Rows = append(t.Rows, []cell{shown, number(one.Count), moment(one.First), moment(one.Last)})
	}
	return t
}
