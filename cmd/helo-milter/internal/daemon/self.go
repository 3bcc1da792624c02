package daemon

import (
	"context"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/sentinel"
)

// useSelf watches the sending addresses of a change from now on.
func (d *Daemon) useSelf(c *change) {
	d.self.Configure(sentinel.NewObserver(c.cfg.Judge, d.past(c)), c.cfg.SelfTest)
}

// past is the DNS past the cache, and beside what mail needs.
func (d *Daemon) past(c *change) *checks.DNS {
	dns := *c.serving.DNS
	dns.Attempt = nil
	dns.ForClient = func(client netip.Addr, b *checks.Budget) checks.Resolver { return c.resolver.Anew(client, b) }
	return &dns
}

// watchSelf looks at the sending addresses until the returned function is called.
func (d *Daemon) watchSelf() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.self.Run(ctx)
	}()
	return func() { cancel(); <-ended }
}

// selfChanged logs that a sending address has become wrong, or right again.
func (d *Daemon) selfChanged(s sentinel.Self) {
	if s.State == sentinel.Wrong {
		d.log.Warn("own address: other hosts see something wrong", "address", s.Client, "name", s.Advice.Name,
			"rules", s.Rules(), "change", clean.Log(s.Steps()))
		return
	}
	d.log.Info("own address: right again", "address", s.Client, "name", s.Advice.Name)
}

// selfMetrics are what is known of the sending addresses. They go with the address.
type selfMetrics struct {
	known func() map[netip.Addr]sentinel.Status
	ok    *prometheus.Desc
	since *prometheus.Desc
}

func newSelfMetrics(known func() map[netip.Addr]sentinel.Status) *selfMetrics {
	label := []string{"address"}
	return &selfMetrics{
		known,
		prometheus.NewDesc(namespace+"self_ok", "1 if other hosts see nothing wrong with an address of "+
			"selftest.addresses, 0 if they do; there is none before the first result.", label, nil),
		prometheus.NewDesc(namespace+"self_known_timestamp_seconds", "When the DNS last answered all that it takes to "+
			"judge that address; before the first time, when the daemon began to look.", label, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *selfMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.ok; to <- m.since }

// Collect implements prometheus.Collector.
func (m *selfMetrics) Collect(to chan<- prometheus.Metric) {
	for client, s := range m.known() {
		address := client.String()
		to <- prometheus.MustNewConstMetric(m.since, prometheus.GaugeValue, float64(s.Looked.Unix()), address)
		value := 0.0
		if s.State == sentinel.OK {
			value = 1
		}
		if s.State != sentinel.Unknown {
			to <- prometheus.MustNewConstMetric(m.ok, prometheus.GaugeValue, value, address)
		}
	}
}
