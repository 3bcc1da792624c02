package console

import (
	"net/http"

	"helo-milter/cmd/helo-milter/internal/evidence"
)

// daysView is the evidence by day.
type daysView struct {
	fine
	*evidence.Section // nil before the first decision
	Days              table
	Causes            table
	ByHost            table // empty unless there are several
}

func (v *daysView) template() string { return "days" }
func (v *daysView) tables() []*table { return []*table{&v.Days, &v.ByHost, &v.Causes} }

func (c *Console) days(*http.Request) (view, error) {
	v := &daysView{Section: c.section(), Days: table{Name: "days", Title: "By day", Columns: []column{
		{"day", "Day, UTC", ""},
		{"judged", "Judged", "n"},
		{"exempt", "Exempt", "n"},
		{"would_refuse", "Would refuse", "n"},
		{"unsure", "Unsure", "n"},
		{"degraded", "DNS degraded", "n"},
	}}}
	if v.Section == nil {
		return v, nil
	}
	for i := len(v.Trend) - 1; i >= 0; i-- {
		d := &v.Trend[i]
		v.Days.Rows = append(v.Days.Rows, []cell{
			words(d.From), number(d.Judged), number(d.Exempt), number(d.Refused), number(d.Unsure), number(d.Degraded),
		})
	}
	v.Causes, v.ByHost = causes(v.Section), byHost(v.Section.Hosts)
	if list := c.evidence().ofHosts(); list != nil {
		v.ByHost = byHost(list)
	}
	return v, nil
}

// byHost is what each host decided, of a fleet, or else of mail servers, by the name that they give themselves.
func byHost(hosts []evidence.Host) table {
	t := table{Name: "hosts", Title: "By host", Columns: []column{
		{"host", "Host", "mono"},
		{"transactions", "Mail", "n"},
		{"exempt", "Exempt", "n"},
		{"accept", "Accept", "n"},
		{"tempfail", "Tempfail", "n"},
		{"reject", "Reject", "n"},
		{"refused", "Refused", "n"},
		{"unsure", "Unsure", "n"},
		{"last", "Last, UTC", ""},
	}, Note: "Accept, tempfail and reject are what was wanted; refused is what was in fact."}
	if len(hosts) < 2 {
		return t
	}
	for i := range hosts {
		h := &hosts[i]
		t.Rows = append(t.Rows, []cell{
			{Text: h.Name, Link: "./?" + (&filter{Host: lower(h.Name)}).with()},
			number(h.Transactions), number(h.Exempt),
			number(h.Accept), number(h.TempFail), number(h.Reject), number(h.Refused), number(h.Unsure), moment(h.Last),
		})
	}
	return t
}

// causes is why rules were unsure.
func causes(s *evidence.Section) table {
	t := table{Name: "unsure", Title: "Unsure by cause", Columns: []column{
		{"lookup", "Lookup", ""},
		{"why", "Why", ""},
		{"decisions", "Decisions", "n"},
	}}
	for _, one := range s.Causes {
		t.Rows = append(t.Rows, []cell{words(one.Lookup), words(one.Why), number(one.Count)})
	}
	return t
}
