package daemon

import (
	"cmp"
	"net"
	"reflect"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/dnscache"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// minQuestion is the least time that a question to the DNS gets. What comes too late for the decision that
// asked is good for the next.
const minQuestion = 5 * time.Second

// makeResolver takes the resolver in use, with its cache, unless the configuration wants another one.
func (d *Daemon) makeResolver(c *change) (err error) {
	if d.cfg != nil && reflect.DeepEqual(d.cfg.Resolver, c.cfg.Resolver) {
		c.resolver = d.resolver
		return nil
	}
	cfg := c.cfg.Resolver
	cfg.Timeout = max(cfg.Timeout, minQuestion)
	cfg.OnPanic = d.onPanic
	cfg.OnFiltered = d.filtered
	if d.metrics != nil { // Check has none
		d.metrics.observe(&cfg, d.lookups)
	}
	cfg.OnDegraded = func(degraded bool) {
		d.lookups.OnDegraded(degraded)
		if degraded {
			d.log.Warn("dns degraded: most questions fail, and those that were answered lately fail too")
		} else {
			d.log.Info("dns recovered")
		}
	}
	cfg.OnPlain = func(server string) {
		d.log.Warn("dns server does not cope with names in random case: asked in lower case for an hour",
			"server", server)
	}
	if c.resolver, err = dnscache.New(cfg); err != nil {
		return &config.KeyError{Key: "dns.servers", Err: err}
	}
	return nil
}

// filtered logs once an hour that a resolver blocks names, which no mail server's should.
func (d *Daemon) filtered(name, answer string) {
	if ok, suppressed := d.filters.allow(""); ok {
		d.log.Warn("resolver filters: what it makes up counts as a failed lookup", "name", clean.Log(name),
			"answer", answer, "suppressed", suppressed)
	}
}

// serving is a change as package milter has it.
func (d *Daemon) serving(c *change) *door.Config {
	cfg, dns := c.cfg, c.cfg.Asking(c.resolver)
	dns.Trouble = func(list, answer string) {
		d.metrics.trouble.count(list)
		if ok, _ := d.listTrouble.allow(list); ok {
			d.log.Warn("block list does not answer this resolver: its responses are ignored",
				"list", list, "answer", answer)
		}
	}
	dns.Filtered = d.filtered
	if c.shared != nil {
		dns.Census, dns.Patience = c.shared.census, patience
	}
	serving := &door.Config{
		Judge: cfg.Judge, DNS: dns, ReplyAt: cfg.ReplyAt, AuthResults: cfg.Header.AuthenticationResults,
		Log: d.log, OnPanic: d.onPanic,
	}
	if cfg.Header.Add {
		serving.Header = cfg.Header.Name
	}
	if cfg.HTTP.Listen.Network != "" {
		serving.Ended = func(class string) { d.metrics.sessions.count(class) }
		serving.Stripped = func(fields int) { d.metrics.stripped.Add(float64(fields)) }
	}
	counted := cfg.HTTP.Listen.Network != "" || cfg.DecisionLog != ""
	serving.Decided = func(decision *checks.Decision) {
		d.lines.decided(decision)
		if counted {
			d.metrics.decided(decision)
		}
		d.mended.decided(decision)
		if cfg.Help.Listen.Network != "" {
			d.page.Seen.Decided(decision)
		}
		d.write(decision, cfg)
	}
	return serving
}

// write writes a decision to the decision log, the console and the fleet.
func (d *Daemon) write(decision *checks.Decision, cfg *config.Config) {
	logged := cfg.DecisionLog != ""
	// Now: the session may have begun under another configuration.
	shown, shared := d.console.Load() != nil, d.shared.Load() != nil
	if !logged && !shown && !shared {
		return
	}
	d.buffers.Use(func(b []byte) []byte {
		b = append(decision.Record(false).AppendJSON(b), '\n')
		if logged {
			_, _ = d.decisions.Write(b)
		}
		if shown {
			_, _ = d.feed.Write(b)
		}
		if shared {
			b = append(fleet.AppendSighting(b[:len(b)-1], decision), '\n')
			_, _ = d.fleetSpool.Write(b)
		}
		return b
	})
}

// limits are those of the gate. Each peer's violations are logged at most once a minute.
func (d *Daemon) limits(c *change) gate.Limits {
	limits := c.cfg.Limits
	limits.Connections = c.files.connections
	limits.OnViolation = func(remote net.Addr, kind string) {
		d.metrics.violations.count(kind)
		peer := remote.String()
		if host, _, err := net.SplitHostPort(peer); err == nil {
			peer = host
		}
		if ok, suppressed := d.violations.allow(peer); ok {
			d.log.Warn("guard", "peer", cmp.Or(peer, remote.Network()), "kind", kind, "suppressed", suppressed)
		}
	}
	return limits
}
