package daemon

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/cmd/helo-milter/internal/config"
)

// configuration shows which configuration is in use, and what became of the last reload.
type configuration struct {
	reloads    *series
	successful prometheus.Gauge
	loaded     prometheus.Gauge
	limit      prometheus.Gauge
	info       configInfo
}

func newConfiguration() *configuration {
	set := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: namespace + name, Help: help})
	}
	return &configuration{
		reloads: newSeries("reloads_total", "Configuration reloads, by result.",
			label{"result", []string{"ok", "error"}}),
		successful: set("config_last_reload_successful",
			"1 if the configuration in use is what the file had at the last start or reload; 0 if that was a "+
				"mistake."),
		loaded: set("config_last_reload_success_timestamp_seconds",
			"When the configuration in use was loaded."),
		limit: set("connections_limit", "How many MTA connections may be open: limits.connections, or less "+
			"where the limit of open files does not suffice."),
		info: configInfo{desc: prometheus.NewDesc(namespace+"config_info",
			"1; the labels say what configuration is in use. hash is the start of the SHA-256 of what "+
				"`helo-milter config` prints.", []string{"mode", "profile", "hash"}, nil)},
	}
}

func (c *configuration) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.reloads, c.successful, c.loaded, c.limit, &c.info}
}

// use shows that a configuration is in use with that many connections.
func (c *configuration) use(cfg *config.Config, connections int) {
	c.limit.Set(float64(connections))
	sum := sha256.Sum256([]byte(cfg.String()))
	c.info.labels.Store(&[]string{cfg.Mode.String(), cfg.Profile.String(), fmt.Sprintf("%x", sum[:8])})
}

// read shows that the configuration in use is what the file has.
func (c *configuration) read() {
	c.successful.Set(1)
	c.loaded.SetToCurrentTime()
}

// reloaded counts a reload.
func (c *configuration) reloaded(err error) {
	if err != nil {
		c.reloads.count("error")
		c.successful.Set(0)
		return
	}
	c.reloads.count("ok")
	c.read()
}

// configInfo is a metric whose labels change with the configuration.
type configInfo struct {
	desc   *prometheus.Desc
	labels atomic.Pointer[[]string]
}

// Describe implements prometheus.Collector.
func (i *configInfo) Describe(to chan<- *prometheus.Desc) { to <- i.desc }

// Collect implements prometheus.Collector.
func (i *configInfo) Collect(to chan<- prometheus.Metric) {
	if labels := i.labels.Load(); labels != nil {
		to <- prometheus.MustNewConstMetric(i.desc, prometheus.GaugeValue, 1, *labels...)
	}
}
