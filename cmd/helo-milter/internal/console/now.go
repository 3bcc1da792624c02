package console

import (
	"net/http"
	"strconv"

	"helo-milter/cmd/helo-milter/internal/past"
)

// nowView has the last decisions of a filter.
type nowView struct {
	fine
	choices
	Filter filter
	Wrong  string // with the filter
	Rows   []*rowView
	Last   uint64 // the number of the last decision
}

func (v *nowView) template() string { return "now" }

// maxRows is how many rows the page has.
const maxRows = 50

func (c *Console) now(r *http.Request) (view, error) {
	wanted, err := filterOf(r.URL.Query())
	if err != nil {
		return &nowView{choices: c.choices(), Filter: wanted, Wrong: err.Error()}, nil
	}
	_, last := c.recent.all()
	lines := c.recent.past()
	v := &nowView{choices: c.choices(), Filter: wanted, Last: last}
	holds, decoder, seen := wanted.ofLine(), past.Decoder{}, past.NewSeen()
	for i := len(lines) - 1; i >= 0 && len(v.Rows) < maxRows && r.Context().Err() == nil; i-- {
		if holds != nil && !holds(lines[i].text) {
			continue
		}
		record, err := decoder.Record(lines[i].text)
		if err == nil && wanted.match(lines[i].host, record) && !seen.Again(record) {
			v.Rows = append(v.Rows, c.rowOf(lines[i].host, record))
		}
	}
	return v, nil
}

// Events is where further rows come from.
func (v *nowView) Events() string {
	return "events?" + v.Filter.with("after", strconv.FormatUint(v.Last, 10))
}

// Query is the filter in an address, with the format of an export.
func (v *nowView) Query(format string) string {
	if format == "" {
		return v.Filter.with()
	}
	return v.Filter.with("format", format)
}
