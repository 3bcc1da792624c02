package evidence

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"strings"
	"time"

	"helo-milter/checks"
)

//go:embed report.html
var page string

//go:embed chart.html
var charts string

// Charts returns the text of the templates "chart" and "caption", which show a Chart. They take Funcs.
func Charts() string { return charts }

// Funcs returns the functions of templates that show a Report, by name. Times are shown in their own zone, which is
// UTC in a Report.
func Funcs() template.FuncMap {
	return template.FuncMap{
		"date":    func(t time.Time) string { return t.Format(time.DateOnly) },
		"minute":  func(t time.Time) string { return t.Format(minute) },
		"group":   Group,
		"plural":  Plural,
		"percent": percent,
		"doc":     func(rule string) string { return checks.All[checks.Index(rule)].Doc },
		"caveat":  func() string { return Caveat },
		"rows":    HostRows,
		"note":    func() string { return hostNote },
		"allow":   func() string { return allowHeading },
	}
}

// HTML returns the report as a self-contained HTML page without scripts.
func (r *Report) HTML() string {
	t := template.Must(template.Must(template.New("report").Funcs(Funcs()).Parse(charts)).Parse(page))
	var b strings.Builder
	if err := t.Execute(&b, r); err != nil {
		panic(err) // a bug in the template: no data can cause it
	}
	return b.String()
}

// JSON returns the report for programs.
func (r *Report) JSON() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text) + "\n"
}
