package daemon

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/cmd/helo-milter/internal/spool"
	"helo-milter/milter/door"
)

// metrics counts for /metrics what the daemon does. It outlives reloads. No label has a value that clients
// choose: neither address, name nor domain.
type metrics struct {
	registry   *prometheus.Registry
	decisions  *series
	findings   *series
	iprev      *series
	differs    *series
	seconds    prometheus.Histogram
	sessions   *series
	stripped   prometheus.Counter
	violations *series
	trouble    *series
	errors     prometheus.Counter
	help       *series
	fleet      *fleetMetrics
	list       *listMetrics
	*configuration
	*dns
}

// newMetrics returns metrics of a daemon that has not started. To add one: a field, its name, labels and help
// here, and the line that counts. TestMetricsReference -update writes examples/prometheus/README.md.
func newMetrics() *metrics {
	iprev := label{"iprev", []string{"pass", "fail", "temperror", "permerror", "none"}}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		decisions: newSeries("decisions_total", "Transactions, by what the policy wanted and what was done.",
			label{"want", []string{"accept", "tempfail", "reject", "exempt"}},
			label{"did", []string{"accept", "tempfail", "reject"}}),
		findings: newFindings(),
		iprev: newSeries("iprev_total", "Transactions, by RFC 8601 iprev of the client.",
			label{"result", iprev.values}),
		differs: newSeries("mta_resolve_differs_total",
			"Transactions where the MTA's {client_resolve} differs from our iprev.", label{name: "mta"}, iprev),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: namespace + "decision_seconds", Help: "From MAIL to the end of the transaction.",
			Buckets: []float64{0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10},
		}),
		sessions: newSeries("sessions_total", "SMTP sessions that have ended, by what the last decision made of "+
			"the client: judged, or why it was exempt; none without a decision.", label{"class", []string{
			door.Judged, "private", "authenticated", checks.AllowList, "no-address", door.Undecided,
		}}),
		stripped: counter("header_fields_stripped_total",
			"Header fields that claimed to be ours, taken out of messages."),
		violations: newSeries("guard_violations_total",
			"Connections that broke their protocol or a limit.", label{name: "kind"}),
		trouble: newSeries("list_trouble_total",
			"Block list responses that are not listings (refused, blocked resolver, wildcard).",
			label{name: "list"}),
		errors: counter("internal_errors_total", "Panics that were recovered: mail went on unjudged."),
		help: newSeries("help_requests_total", "Requests to help.listen, by what was asked for; busy is a test that "+
			"came too soon, or while too many others were made.", label{"what", []string{
			help.Page, help.Gone, help.Test, help.Busy, help.Events, help.Rule,
		}}),
		fleet:         newFleetMetrics(),
		list:          newListMetrics(),
		configuration: newConfiguration(),
		dns:           newDNS(),
	}
	m.registry.MustRegister(m.decisions, m.findings, m.iprev, m.differs, m.seconds, m.sessions,
		m.stripped, m.violations, m.trouble, m.errors, m.help, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.configuration.collectors()...)
	m.registry.MustRegister(m.dns.collectors()...)
	m.registry.MustRegister(m.fleet.collectors()...)
	m.registry.MustRegister(m.list.collectors()...)
	return m
}

func newFindings() *series {
	var rules []string
	for _, r := range checks.All {
		rules = append(rules, r.Name)
	}
	s := newSeries("findings_total", "Rules that failed or were unsure, by transaction.",
		label{"rule", rules}, label{"result", []string{checks.Fail.String(), checks.Unsure.String()}})
	return s.know(checks.Internal, checks.Unsure.String()).know(checks.AllowList, checks.Unsure.String())
}

// buildInfo says what the program was built from.
func buildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "goversion": runtime.Version()}
	if build, ok := debug.ReadBuildInfo(); ok {
		labels["version"] = build.Main.Version
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	return info("build_info", "1; the labels say what the program was built from.", labels)
}

// spool shows what a log has dropped, and what waits to be written to it.
func (m *metrics) spool(name string, s *spool.Spool) {
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: namespace + name + "_dropped_total",
			Help: "Lines dropped because they could not be written in time.",
		}, func() float64 { return float64(s.Dropped()) }),
		gauge(name+"_spool_bytes", "Lines that wait to be written; from 4 MiB on they are dropped.", s.Depth))
}

// watch shows what is open.
func (m *metrics) watch(connections func() int, doors ...interface{ Transactions() int }) {
	transactions := func() (n int) {
		for _, d := range doors {
			n += d.Transactions()
		}
		return n
	}
	m.registry.MustRegister(gauge("connections", "Open MTA connections, or SMTP sessions of OpenSMTPD.", connections),
		gauge("transactions", "Open mail transactions.", transactions))
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
	m.decisions.count(d.Verdict.Want(), d.Did.Outcome())
	iprev := d.Facts.Iprev()
	m.iprev.count(iprev)
	if mta := d.Facts.MTAResolve.Resolve; mta != "" {
		m.differs.count(mta, iprev)
	}
	m.seconds.Observe(d.Took.Seconds())
	if d.Verdict.Internal {
		m.findings.count(checks.Internal, checks.Unsure.String())
	}
	if d.Verdict.Open {
		m.findings.count(checks.AllowList, checks.Unsure.String())
	}
	for i, f := range d.Verdict.Findings {
		if f.Result >= checks.Unsure {
			m.findings.count(checks.All[i].Name, f.Result.String())
		}
	}
}
