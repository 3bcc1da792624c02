package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/lookups"
	"helo-milter/cmd/helo-milter/internal/sentinel"
	"helo-milter/cmd/helo-milter/internal/spool"
	"helo-milter/dnscache"
	"helo-milter/milter/gate"
)

var update = flag.Bool("update", false, "write the table of examples/prometheus/README.md anew")

// resolves is a resolver that is degraded or not.
type resolves bool

func (r resolves) Degraded() bool { return bool(r) }

func (resolves) Load() (inFlight, waiting int) { return 7, 3 }

func (resolves) Entries() int { return 41 }

// ready is an MTA's view of a daemon that serves.
func ready(context.Context) error { return nil }

func TestMetrics(t *testing.T) {
	m := newMetrics()
	facts := &checks.Facts{
		Client: netip.MustParseAddr("203.0.113.9"), PTR: checks.Answer[checks.Host]{Status: checks.Failed},
		Greetings:  []checks.Greeting{{Helo: checks.ParseHelo("203.0.113.9")}},
		MTAResolve: checks.MTAResolve{Resolve: "FORGED"},
	}
	findings := checks.Evaluate(facts, nil, "")
	verdict := checks.NewPolicy(checks.Standard).Decide(findings)
	m.decided(&checks.Decision{Facts: facts, Verdict: verdict, Took: 20 * time.Millisecond})
	exempt := checks.Verdict{Exempt: "private"}
	m.decided(&checks.Decision{Facts: &checks.Facts{}, Verdict: exempt})
	m.decided(&checks.Decision{
		Facts: &checks.Facts{}, Verdict: checks.Verdict{Internal: true}, Did: checks.Reject,
	})
	var cfg dnscache.Config
	m.observe(&cfg, lookups.New())
	cfg.OnRefused("budget")
	cfg.OnRequest(dnscache.CacheStale)
	cfg.OnPassedOver("case")
	cfg.OnAsked(dnscache.Asked{Type: "PTR", Result: "nxdomain", Transport: "tcp", Took: 30 * time.Millisecond})
	c, err := config.Parse("", []byte("mode = \"enforce\"\nlimits.per_peer = 7"))
	if err != nil {
		t.Fatal(err)
	}
	m.use(c, 70)
	m.reloaded(nil)
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(c.String())))[:16]
	for _, tt := range []struct {
		degraded bool
		path     string
		code     int
		says     string
	}{
		{false, "/healthz", 200, "ok"},
		{true, "/healthz", 200, "ok"}, // mail goes on
		{false, "/readyz", 200, "ready"},
		{true, "/readyz", 503, "not ready: degraded: most DNS questions fail\n"},
		{false, "/metrics", 200, `helo_milter_decisions_total{did="accept",want="reject"} 1`},
		{false, "/metrics", 200, `helo_milter_decisions_total{did="accept",want="exempt"} 1`},
		{false, "/metrics", 200, `helo_milter_findings_total{result="fail",rule="helo-bare-ip"} 1`},
		{false, "/metrics", 200, `helo_milter_findings_total{result="unsure",rule="ptr-missing"} 1`},
		{false, "/metrics", 200, `helo_milter_decisions_total{did="reject",want="accept"} 1`},
		{false, "/metrics", 200, `helo_milter_findings_total{result="unsure",rule="internal"} 1`},
		{false, "/metrics", 200, `helo_milter_iprev_total{result="temperror"} 1`},
		{false, "/metrics", 200, `helo_milter_mta_resolve_differs_total{iprev="temperror",mta="FORGED"} 1`},
		{false, "/metrics", 200, `helo_milter_decision_seconds_bucket{le="0.05"} 3`},
		{false, "/metrics", 200, "helo_milter_dns_degraded 0"},
		{true, "/metrics", 200, "helo_milter_dns_degraded 1"},
		{false, "/metrics", 200, "helo_milter_dns_in_flight 7"},
		{false, "/metrics", 200, "helo_milter_dns_waiting 3"},
		{false, "/metrics", 200, `helo_milter_dns_refused_total{reason="budget"} 1`},
		{false, "/metrics", 200, `helo_milter_dns_refused_total{reason="room"} 0`}, // there before it happens
		{false, "/metrics", 200, "helo_milter_dns_cache_entries 41"},
		{false, "/metrics", 200, `helo_milter_dns_cache_requests_total{result="stale"} 1`},
		{false, "/metrics", 200, `helo_milter_dns_replies_passed_over_total{reason="case"} 1`},
		{
			false, "/metrics", 200,
			`helo_milter_dns_questions_total{result="nxdomain",transport="tcp",type="PTR"} 1`,
		},
		{false, "/metrics", 200, `helo_milter_dns_question_seconds_bucket{transport="tcp",le="0.05"} 1`},
		{
			false, "/metrics", 200,
			`helo_milter_config_info{hash="` + hash + `",mode="enforce",profile="careful"} 1`,
		},
		{false, "/metrics", 200, "helo_milter_config_last_reload_successful 1"},
		{false, "/metrics", 200, "helo_milter_config_last_reload_success_timestamp_seconds 1."},
		{false, "/metrics", 200, "helo_milter_connections_limit 70"},
		{false, "/metrics", 200, `helo_milter_reloads_total{result="ok"} 1`},
		{false, "/metrics", 200, `helo_milter_sessions_total{class="authenticated"} 0`},
		{false, "/metrics", 200, "helo_milter_header_fields_stripped_total 0"},
		{false, "/metrics", 200, "helo_milter_build_info{goversion=\"go"},
		{false, "/other", 404, ""},
	} {
		m.resolve(resolves(tt.degraded))
		w := httptest.NewRecorder()
		m.handler(ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d, without %s:\n%s", tt.path, w.Code, tt.says, w.Body)
		}
	}
}

// However often code panics, it is counted each time, and each place is logged once.
func TestPanicked(t *testing.T) {
	m, out := newMetrics(), new(bytes.Buffer)
	panicked := m.panicked(slog.New(slog.NewTextHandler(out, nil)))
	survive := func(do func()) {
		defer func() { panicked(recover(), debug.Stack()) }()
		do()
	}
	var nowhere []int
	for range 3 {
		survive(func() { nowhere[len(out.String())%2]++ }) // the runtime's panic, with another text
		survive(func() { panic("at the disco") })
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Count(out.String(), "metrics_test.go:") < 2 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	w := httptest.NewRecorder()
	m.handler(ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), "helo_milter_internal_errors_total 6") {
		t.Errorf("not all are counted:\n%s", w.Body)
	}
}

// A daemon that serves no MTA says why.
func TestNotReady(t *testing.T) {
	d := &Daemon{gate: gate.New(gate.Limits{}), metrics: newMetrics()}
	for _, step := range []struct {
		stopping bool
		says     string
	}{{false, "not ready: no listener\n"}, {true, "not ready: stopping\n"}} {
		d.stopping.Store(step.stopping)
		w := httptest.NewRecorder()
		d.metrics.handler(d.ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != 503 || w.Body.String() != step.says {
			t.Errorf("%d %q, want %q", w.Code, w.Body, step.says)
		}
	}
	failed := func(context.Context) error { return errors.New("it does not answer") }
	w := httptest.NewRecorder()
	d.metrics.handler(failed).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
}

// examples/prometheus/README.md has each metric, with its help text.
func TestMetricsReference(t *testing.T) {
	const file = "../../../../examples/prometheus/README.md"
	const begin = "<!-- metrics: written by go test ./cmd/helo-milter/internal/daemon -update -->\n"
	const end = "<!-- end of metrics -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the metrics", file)
	}
	want := head + begin + reference(t) + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s differs (go test ./cmd/helo-milter/internal/daemon -update writes it), want\n%s", file, want)
	}
}

// full is the registry of a daemon, with a series of each metric.
func full(t *testing.T) *prometheus.Registry {
	t.Helper()
	m := newMetrics()
	log := spool.New(io.Discard, nil)
	defer log.Close(0)
	m.spool("log", log)
	m.spool("decision_log", log)
	m.spool("console", log)
	m.spool("fleet", log)
	m.watch(gate.New(gate.Limits{}).Connections)
	c, err := config.Parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	m.use(c, 1)
	m.violations.count("")
	m.trouble.count("")
	m.differs.count("", "")
	m.questions.count("", "", "")
	m.registry.MustRegister(newMended().gauge(), newSelfMetrics(func() map[netip.Addr]sentinel.Status {
		return map[netip.Addr]sentinel.Status{netip.MustParseAddr("203.0.113.10"): {State: sentinel.OK}}
	}))
	return m.registry
}

// reference is a table of all metrics of a daemon.
func reference(t *testing.T) string {
	t.Helper()
	families, err := full(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	table := "| metric | type | labels | |\n|---|---|---|---|\n"
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), namespace) {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			strings.Join(labels, ", "), f.GetHelp())
	}
	return table
}
