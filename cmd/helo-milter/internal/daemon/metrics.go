package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/spool"
	"helo-milter/milter"
)

// metrics counts for /metrics what the daemon does. It outlives reloads.
type metrics struct {
	registry   *prometheus.Registry
	decisions  *prometheus.CounterVec
	findings   *prometheus.CounterVec
	iprev      *prometheus.CounterVec
	differs    *prometheus.CounterVec
	seconds    prometheus.Histogram
	violations *prometheus.CounterVec
	trouble    *prometheus.CounterVec
	errors     prometheus.Counter
	reloads    *prometheus.CounterVec
	refused    *prometheus.CounterVec
	resolver   atomic.Pointer[resolver] // the one in use
}

// resolver is what a page says of the resolver in use.
type resolver interface {
	Degraded() bool
	Load() (inFlight, waiting int)
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "helo_milter_" + name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		decisions: counter("decisions_total",
			"Transactions, by what the policy wanted and what was done.", "want", "did"),
		findings: counter("findings_total", "Rules that failed or were unsure, by transaction.", "rule",
			"result"),
		iprev: counter("iprev_total", "Transactions, by RFC 8601 iprev of the client.", "result"),
		differs: counter("mta_resolve_differs_total",
			"Transactions where the MTA's {client_resolve} differs from our iprev.", "mta", "iprev"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "helo_milter_decision_seconds", Help: "From MAIL to the end of the transaction.",
			Buckets: []float64{0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10},
		}),
		violations: counter("guard_violations_total",
			"Connections that broke the milter protocol or a limit.", "kind"),
		trouble: counter("list_trouble_total",
			"Block list responses that are not listings (refused, blocked resolver, wildcard).", "list"),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "helo_milter_internal_errors_total", Help: "Panics that were recovered: mail went on unjudged.",
		}),
		reloads: counter("reloads_total", "Configuration reloads, by result.", "result"),
		refused: counter("dns_refused_total", "DNS questions that were not asked, by reason: a session over its budget, "+
			"no room to wait, or too long a wait for a place.", "reason"),
	}
	m.registry.MustRegister(m.decisions, m.findings, m.iprev, m.differs, m.seconds, m.violations, m.trouble,
		m.errors, m.reloads, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "helo_milter_dns_degraded",
			Help: "1 while most DNS questions fail, and those that were answered lately fail too.",
		}, func() float64 {
			if m.isDegraded() {
				return 1
			}
			return 0
		}),
		gauge("dns_in_flight", "DNS questions that are with the servers.", func() int { n, _ := m.load(); return n }),
		gauge("dns_waiting", "DNS questions that wait for a place.", func() int { _, n := m.load(); return n }))
	return m
}

func gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "helo_milter_" + name, Help: help},
		func() float64 { return float64(value()) })
}

// resolve takes what is said of the DNS from this resolver from now on.
func (m *metrics) resolve(r resolver) { m.resolver.Store(&r) }

func (m *metrics) load() (inFlight, waiting int) {
	if r := m.resolver.Load(); r != nil {
		return (*r).Load()
	}
	return 0, 0
}

// spool counts what a log has dropped.
func (m *metrics) spool(name string, s *spool.Spool) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "helo_milter_" + name + "_dropped_total",
		Help: "Lines dropped because they could not be written in time.",
	}, func() float64 { return float64(s.Dropped()) }))
}

// watch shows what is open.
func (m *metrics) watch(server *milter.Server, guard *milter.Guard) {
	m.registry.MustRegister(gauge("connections", "Open MTA connections.", guard.Connections),
		gauge("transactions", "Open mail transactions.", server.Transactions))
}

// reloaded counts a reload.
func (m *metrics) reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// panicSite is where a panic began: in the stack, the first frame of ours or of a library under that of
// panic itself.
func panicSite(stack []byte) string {
	_, frames, _ := strings.Cut(string(stack), "\npanic(")
	lines := strings.Split(frames, "\n")
	for i := 2; i+1 < len(lines); i += 2 { // a function, and its place
		if !strings.HasPrefix(lines[i], "runtime.") {
			site, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " ")
			return site
		}
	}
	return "unknown"
}

// panicked returns what counts panics and logs them, with the stack once for each place.
func (m *metrics) panicked(log *slog.Logger) func(value any, stack []byte) {
	places := newThrottle(24 * time.Hour)
	return func(value any, stack []byte) {
		m.errors.Inc()
		site := panicSite(stack)
		if ok, suppressed := places.allow(site); ok {
			log.Error("internal error, mail goes on unjudged", "panic", clean.Log(fmt.Sprint(value)), "at", site, "suppressed", suppressed,
				"stack", string(stack))
		}
	}
}

// decided counts a transaction.
func (m *metrics) decided(d *checks.Decision) {
	m.decisions.WithLabelValues(d.Verdict.Want(), d.Did.Outcome()).Inc()
	m.iprev.WithLabelValues(d.Facts.Iprev()).Inc()
	if mta := d.Facts.MTAResolve.Resolve; mta != "" {
		m.differs.WithLabelValues(mta, d.Facts.Iprev()).Inc()
	}
	m.seconds.Observe(d.Took.Seconds())
	if d.Verdict.Internal {
		m.findings.WithLabelValues(checks.Internal, checks.Unsure.String()).Inc()
	}
	if d.Verdict.Open {
		m.findings.WithLabelValues(checks.AllowList, checks.Unsure.String()).Inc()
	}
	for i, f := range d.Verdict.Findings {
		if f.Result >= checks.Unsure {
			m.findings.WithLabelValues(checks.All[i].Name, f.Result.String()).Inc()
		}
	}
}

func (m *metrics) isDegraded() bool {
	r := m.resolver.Load()
	return r != nil && (*r).Degraded()
}

// handler answers on /metrics, /healthz and /readyz.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if m.isDegraded() {
			http.Error(w, "degraded: most DNS questions fail", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// maxScrapers is how many connections /metrics and the others have at a time.
const maxScrapers = 20

// serve answers until the server is closed.
func (m *metrics) serve(ln net.Listener, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler: m.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Whoever finds the port must not take the files that mail needs.
	go func() { _ = server.Serve(netutil.LimitListener(ln, maxScrapers)) }() // ends with Close
	return server
}

// scraped are the connections of a listener that http.allow takes.
type scraped struct {
	net.Listener
	daemon *Daemon
}

// Accept closes the connections of others.
func (s *scraped) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil || s.daemon.mayScrape(conn.RemoteAddr()) {
			return conn, err
		}
		_ = conn.Close()
	}
}

// mayScrape reports whether a peer may connect to the HTTP server. Others are logged at most once a minute.
func (d *Daemon) mayScrape(remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	allow := *d.scrapers.Load()
	if !ok || len(allow) == 0 {
		return true
	}
	peer := tcp.AddrPort().Addr().Unmap().WithZone("")
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		return true
	}
	if ok, suppressed := d.violations.allow("http " + peer.String()); ok {
		d.log.Warn("http: a host that http.allow does not have", "peer", peer, "suppressed", suppressed)
	}
	return false
}
