package daemon

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	rulesFile     = "../../../../examples/prometheus/helo-milter.rules.yml"
	dashboardFile = "../../../../examples/grafana/helo-milter.json"
)

// metricName finds the metrics in an expression of PromQL.
var metricName = regexp.MustCompile(`\b(?:helo_milter|go|process)_\w+`)

// checkNames requires that the daemon has all metrics of an expression.
func checkNames(t *testing.T, what, expr string, known []string) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		if !slices.Contains(known, name) && !slices.Contains(known, strings.TrimSuffix(name, "_bucket")) {
			t.Errorf("%s: there is no %s", what, name)
		}
	}
}

// names are those of all metrics of a daemon.
func names(t *testing.T) (list []string) {
	t.Helper()
	families, err := full(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		list = append(list, f.GetName())
	}
	return list
}

// The alerts are about metrics that there are.
func TestRuleNames(t *testing.T) {
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	checkNames(t, rulesFile, string(text), names(t))
}

// target is what a panel of a dashboard queries.
type target struct {
	RefID      string
	Expr       string
	Datasource datasource
}

type datasource struct{ Type, UID string }

// The dashboard can be imported into Grafana: its schema is that of Grafana 9, ids are unique, panels do
// not overlap, and the data source is a variable. Its metrics exist.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []target
		}
	}
	text, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	variables := dashboard.Templating.List
	if dashboard.UID == "" || dashboard.SchemaVersion < 37 || len(variables) != 2 ||
		variables[0].Type != "datasource" {
		t.Errorf("uid %q, schemaVersion %d, variables %v", dashboard.UID, dashboard.SchemaVersion, variables)
	}
	known, ids, rows := names(t), map[int]string{}, 0
	covered := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if other, double := ids[p.ID]; double || p.ID == 0 {
			t.Errorf("panels %q and %q have id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := covered[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q overlaps %q", p.Title, other)
				}
				covered[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q has no query", p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" || q.Datasource != (datasource{"prometheus", "${datasource}"}) {
				t.Errorf("panel %q: query %q of %v", p.Title, q.RefID, q.Datasource)
			}
			refs[q.RefID] = true
			if !strings.Contains(q.Expr, `instance=~"$instance"`) {
				t.Errorf("panel %q is about all hosts: %s", p.Title, q.Expr)
			}
			checkNames(t, p.Title, q.Expr, known)
		}
	}
	if rows != 4 {
		t.Errorf("%d rows", rows)
	}
}
