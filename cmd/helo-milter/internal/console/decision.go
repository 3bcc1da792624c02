package console

import (
	"net/http"
	"strings"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/explain"
)

// decisionView has the decisions of a session, or of a message.
type decisionView struct {
	fine
	ID   string
	List []*decisionText
}

func (v *decisionView) template() string { return "decision" }

// decisionText is a decision in words, and what to do about it.
type decisionText struct {
	*rowView
	Text   string // what the command show prints
	Allow  string // lines to paste
	Letter string
}

func (c *Console) decision(r *http.Request) (view, error) {
	id := explain.ID(r.PathValue("id"))
	ctx, leave, err := c.query(r, queryTime)
	if err != nil {
		return nil, err
	}
	defer leave()
	cfg := c.settings.Load().Config
	list, failed := c.find(ctx, c.kept(), id)
	switch {
	case len(list) == 0 && failed:
		return nil, &wrong{
			http.StatusServiceUnavailable,
			"Not all that is kept could be read, and no decision of what was has this id. Please try again later.",
		}
	case len(list) == 0:
		return nil, &wrong{http.StatusNotFound, "No decision that is kept has this id. A refused message has no queue id."}
	}
	v := &decisionView{ID: id}
	for _, record := range list {
		v.List = append(v.List, textOf(record, cfg.Header.Name))
	}
	return v, nil
}

func textOf(r *checks.Record, header string) *decisionText {
	t := &decisionText{rowView: rowOf(r), Allow: explain.Allow(r)}
	var text, letter strings.Builder
	explain.Decision(&text, r, header)
	t.Text = text.String()
	if advice := checks.Advise(r, nil); len(advice.Steps) > 0 {
		explain.Letter(&letter, r, advice)
		t.Letter = letter.String()
	}
	return t
}
