package daemon

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// resolves is a resolver that is degraded or not.
type resolves bool

func (r resolves) Degraded() bool { return bool(r) }

func (resolves) Load() (inFlight, waiting int) { return 7, 3 }

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
	m.refused.WithLabelValues("budget").Inc()
	for _, tt := range []struct {
		degraded bool
		path     string
		code     int
		says     string
	}{
		{false, "/healthz", 200, "ok"},
		{true, "/healthz", 200, "ok"}, // mail goes on
		{false, "/readyz", 200, "ready"},
		{true, "/readyz", 503, "degraded"},
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
		{false, "/other", 404, ""},
	} {
		m.resolve(resolves(tt.degraded))
		w := httptest.NewRecorder()
		m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
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
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), "helo_milter_internal_errors_total 6") {
		t.Errorf("not all are counted:\n%s", w.Body)
	}
}
