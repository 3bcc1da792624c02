package main

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"helo-milter/checks"
	"helo-milter/milter"
)

// metrics counts for /metrics what the daemon does. It outlives reloads.
type metrics struct {
	registry   *prometheus.Registry
	decisions  *prometheus.CounterVec
	findings   *prometheus.CounterVec
	iprev      *prometheus.CounterVec
	seconds    prometheus.Histogram
	violations *prometheus.CounterVec
	trouble    *prometheus.CounterVec
	degraded   atomic.Pointer[func() bool] // asks the resolver in use
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "helo_milter_" + name, Help: help}, labels)
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		decisions: counter("decisions_total", "Transactions, by what the policy wanted and did.", "want", "did"),
		findings: counter("findings_total", "Rules that failed or were unsure, by transaction.", "rule",
			"result"),
		iprev: counter("iprev_total", "Transactions, by RFC 8601 iprev of the client.", "result"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "helo_milter_decision_seconds", Help: "From MAIL to the end of the transaction.",
			Buckets: []float64{0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10},
		}),
		violations: counter("guard_violations_total", "Connections that broke the milter protocol.", "kind"),
		trouble:    counter("list_trouble_total", "Answers of block lists that were no answers.", "list"),
	}
	m.registry.MustRegister(m.decisions, m.findings, m.iprev, m.seconds, m.violations, m.trouble,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "helo_milter_dns_degraded",
			Help: "1 while more DNS questions fail than not: no rule that needs the DNS refuses.",
		}, func() float64 {
			if m.isDegraded() {
				return 1
			}
			return 0
		}))
	return m
}

// decided counts a transaction.
func (m *metrics) decided(d *milter.Decision) {
	m.decisions.WithLabelValues(d.Verdict.Want(), d.Did).Inc()
	m.iprev.WithLabelValues(d.Facts.Iprev()).Inc()
	m.seconds.Observe(d.Took.Seconds())
	for i, f := range d.Findings {
		if f.Result >= checks.Unsure {
			m.findings.WithLabelValues(checks.All[i].Name, f.Result.String()).Inc()
		}
	}
}

func (m *metrics) isDegraded() bool {
	ask := m.degraded.Load()
	return ask != nil && (*ask)()
}

// handler answers on /metrics, /healthz and /readyz.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if m.isDegraded() {
			http.Error(w, "degraded: the DNS fails more often than not", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// serve answers until the server is closed.
func (m *metrics) serve(address string) (*http.Server, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	server := &http.Server{
		Handler: m.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
	}
	go func() { _ = server.Serve(ln) }() // ends with Close
	return server, nil
}
