package daemon

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/cmd/helo-milter/internal/lookups"
	"helo-milter/dnscache"
)

// dns counts what the resolvers do: the one in use, and those before it.
type dns struct {
	questions  *series
	seconds    *prometheus.HistogramVec
	refused    *series
	requests   *series
	requested  [dnscache.CacheMiss + 1]prometheus.Counter // those of requests: a session has several
	passedOver *series
	resolver   atomic.Pointer[resolver] // the one in use
}

// resolver is what a page says of the resolver in use.
type resolver interface {
	Degraded() bool
	Load() (inFlight, waiting int)
	Entries() int
}

func newDNS() *dns {
	d := &dns{
		questions: newSeries("dns_questions_total",
			"DNS questions that went to the servers, when they have ended; each may have taken several queries.",
			label{name: "type"}, label{name: "result"}, label{name: "transport"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: namespace + "dns_question_seconds",
			Help: "What these questions took, over all servers and retries, by the transport of the result.",
			Buckets: []float64{
				0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
			},
		}, []string{"transport"}),
		refused: newSeries("dns_refused_total", "DNS questions that were not asked, by reason: a session over "+
			"its budget, no room to wait, or too long a wait for a place.",
			label{"reason", []string{"budget", "room", "wait"}}),
		requests: newSeries("dns_cache_requests_total", "Lookups, by what the cache had: hit, also a negative "+
			"answer or a failure that is kept; stale, since the servers fail or are late; or miss.",
			label{name: "result"}),
		passedOver: newSeries("dns_replies_passed_over_total", "Messages from DNS servers that were not the "+
			"reply, by what was wrong: id, case (of the name), or content. Those from another source never "+
			"reach the program.", label{"reason", []string{"id", "case", "content"}}),
	}
	for result := range dnscache.CacheMiss + 1 {
		d.requested[result] = d.requests.WithLabelValues(result.String())
	}
	d.seconds.WithLabelValues("udp") // so that it is there before the first question
	return d
}

func (d *dns) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		d.questions, d.seconds, d.refused, d.requests, d.passedOver,
		gauge("dns_degraded",
			"1 while most DNS questions fail, and those that were answered lately fail too.",
			func() int {
				if d.isDegraded() {
					return 1
				}
				return 0
			}),
		d.gauge("dns_in_flight", "DNS questions that are with the servers.",
			func(r resolver) int { n, _ := r.Load(); return n }),
		d.gauge("dns_waiting", "DNS questions that wait for a place.",
			func(r resolver) int { _, n := r.Load(); return n }),
		d.gauge("dns_cache_entries", "Answers in the DNS cache, expired ones included.", resolver.Entries),
	}
}

// gauge is a value of the resolver in use.
func (d *dns) gauge(name, help string, value func(resolver) int) prometheus.Collector {
	return gauge(name, help, func() int {
		if r := d.resolver.Load(); r != nil {
			return value(*r)
		}
		return 0
	})
}

// observe has a resolver's configuration count here, and there.
func (d *dns) observe(cfg *dnscache.Config, there *lookups.Lookups) {
	cfg.OnTried = there.OnTried

	cfg.OnRefused = func(reason string) { d.refused.count(reason) }
	cfg.OnRequest = func(result dnscache.CacheResult) { d.requested[result].Inc() }
	cfg.OnPassedOver = func(why string) { d.passedOver.count(why) }
	cfg.OnAsked = func(a dnscache.Asked) {
		d.questions.count(a.Type, a.Result, a.Transport)
		d.seconds.WithLabelValues(a.Transport).Observe(a.Took.Seconds())
		there.OnAsked(a)
	}
}

// resolve takes what is said of the DNS from this resolver from now on.
func (d *dns) resolve(r resolver) { d.resolver.Store(&r) }

func (d *dns) isDegraded() bool {
	r := d.resolver.Load()
	return r != nil && (*r).Degraded()
}
