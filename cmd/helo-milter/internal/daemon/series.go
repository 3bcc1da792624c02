package daemon

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace starts the name of each of our metrics.
const namespace = "helo_milter_"

// label is a label and the values that it is known to have.
type label struct {
	name   string
	values []string
}

// maxLabels is the most labels that a counter has.
const maxLabels = 3

// series is a counter with labels. Where all values of all labels are known, their series are there from the
// start, since a rate misses the first event of a series that begins with it, and counting takes no lock.
type series struct {
	*prometheus.CounterVec
	known map[[maxLabels]string]prometheus.Counter
}

// newSeries returns the counter of that name and these labels.
func newSeries(name, help string, labels ...label) *series {
	var names []string
	all := [][]string{nil}
	for _, l := range labels {
		names = append(names, l.name)
		var longer [][]string
		for _, values := range all {
			for _, v := range l.values {
				longer = append(longer, append(slices.Clone(values), v))
			}
		}
		all = longer
	}
	s := &series{
		CounterVec: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: namespace + name, Help: help}, names),
		known: map[[maxLabels]string]prometheus.Counter{},
	}
	for _, values := range all {
		s.know(values...)
	}
	return s
}

// know makes a series exist from now on. It must not be called once the counter is in use.
func (s *series) know(values ...string) *series {
	var key [maxLabels]string
	copy(key[:], values)
	s.known[key] = s.WithLabelValues(values...)
	return s
}

// count counts an event with these values of the labels.
func (s *series) count(values ...string) {
	var key [maxLabels]string
	copy(key[:], values)
	if c := s.known[key]; c != nil {
		c.Inc()
		return
	}
	s.WithLabelValues(values...).Inc()
}

// gauge is a value that is computed when it is asked for.
func gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: namespace + name, Help: help},
		func() float64 { return float64(value()) })
}

// counter is a number of events without labels.
func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: namespace + name, Help: help})
}

// info is a metric whose labels are what it has to say, and whose value is 1.
func info(name, help string, labels prometheus.Labels) prometheus.Collector {
	return prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: namespace + name, Help: help, ConstLabels: labels},
		func() float64 { return 1 })
}
