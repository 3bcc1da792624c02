package daemon

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
)

// patience is how long a session waits for what the fleet has seen, when it knows everything else.
const patience = time.Millisecond

// shared is what this host has of its fleet: the server, the stream that its decisions go to, and the census.
type shared struct {
	server   *fleet.Server
	stream   *fleet.Decisions
	census   *fleet.Census
	presence *fleet.Presence
}

// Close ends it. The stream may be in use no more.
func (s *shared) Close() error {
	if s.presence != nil {
		s.presence.Close()
	}
	s.census.Close()
	return s.server.Close()
}

// readFleet finds out whether the password can be read. Whoever only checks a configuration may not be allowed to.
func (d *Daemon) readFleet(c *change) error {
	if len(c.cfg.Fleet.Redis) == 0 {
		return nil
	}
	_, err := fleet.ReadPassword(c.cfg.Fleet.PasswordFile)
	if err == nil || d.metrics == nil && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return &config.KeyError{Key: "fleet.password_file", Err: err}
}

// openFleet takes what is open, unless the configuration wants another server, and waits for none.
func (d *Daemon) openFleet(c *change) error {
	if len(c.cfg.Fleet.Redis) == 0 {
		return nil
	}
	server, err := fleet.Connect(c.cfg)
	if err != nil {
		return err
	}
	if now := d.shared.Load(); now != nil && now.server.Same(server) {
		c.shared = now
		return server.Close()
	}
	c.shared = &shared{
		server: server, stream: fleet.NewDecisions(server, c.cfg.Fleet.Records, d.fleetSpool.Dropped),
		census: fleet.NewCensus(server, func(result string) { d.metrics.fleet.questions.count(result) },
			d.fleetTrouble("census")),
	}
	c.opened = append(c.opened, c.shared)
	return nil
}

// useFleet puts the fleet of a change in the place of the one in use.
func (d *Daemon) useFleet(c *change) {
	before := d.shared.Swap(c.shared)
	if before == c.shared {
		return
	}
	d.metrics.fleet.up.Store(false)
	if c.shared == nil {
		d.fleetSpool.Use(nil)
	} else {
		c.shared.presence = fleet.NewPresence(c.shared.server, d.fleetAnswered())
		d.fleetSpool.Use(c.shared.stream)
		d.log.Info("fleet", "host", c.shared.server.Host(), "servers", c.cfg.Fleet.Redis)
	}
	if before != nil {
		_ = before.Close()
	}
}

// fleetTrouble counts the errors of a part, and logs each kind at most once a minute.
func (d *Daemon) fleetTrouble(part string) func(error) {
	return func(err error) {
		kind := fleet.Trouble(err)
		d.metrics.fleet.errors.count(part, kind)
		if ok, suppressed := d.fleetErrors.allow(part + kind); ok {
			d.log.Warn("fleet: no answer, this host goes on alone", "part", part, "kind", kind,
				"error", clean.Log(err.Error()), "suppressed", suppressed)
		}
	}
}

// fleetAnswered returns what notes whether the server is there.
func (d *Daemon) fleetAnswered() func(error) {
	trouble := d.fleetTrouble("presence")
	return func(err error) {
		if up := err == nil; d.metrics.fleet.up.Swap(up) != up && up {
			d.log.Info("fleet: the server answers")
		}
		if err != nil {
			trouble(err)
		}
	}
}

// fleetMetrics are about what hosts share.
type fleetMetrics struct {
	questions, errors *series
	up                atomic.Bool
}

// fleetParts are what errors are counted by.
var fleetParts = []string{"decisions", "census", "presence", "list"}

func newFleetMetrics() *fleetMetrics {
	return &fleetMetrics{
		questions: newSeries("fleet_questions_total", "Questions to the fleet's server about clients and HELO names, by what "+
			"became of them: paused are those that were not asked, since others had no answer.",
			label{"result", fleet.Results}),
		errors: newSeries("fleet_errors_total", "Errors of the fleet's server, by what was tried.",
			label{"part", fleetParts}, label{"kind", fleet.Troubles}),
	}
}

func (m *fleetMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.questions, m.errors,
		gauge("fleet_up", "1 if the fleet's server has answered in the last 5 seconds; 0 also without a fleet.",
			func() int { return count(m.up.Load()) }),
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
