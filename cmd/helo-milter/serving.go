package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"syscall"
	"time"

	"helo-milter/checks"
	"helo-milter/dnscache"
	"helo-milter/milter"
)

// resolverOf is the resolver in use, with its cache, unless the configuration wants another one.
func (d *daemon) resolverOf(cfg *Config) (*dnscache.Resolver, error) {
	if d.cfg != nil && d.cfg.Timeout == cfg.Timeout && d.cfg.DNS.CacheEntries == cfg.DNS.CacheEntries &&
		d.cfg.DNS.CaseRandomization == cfg.DNS.CaseRandomization && slices.Equal(d.cfg.DNS.Servers, cfg.DNS.Servers) {
		return d.resolver, nil
	}
	resolver, err := dnscache.New(dnscache.Config{
		Servers: cfg.DNS.Servers, Entries: cfg.DNS.CacheEntries,
		Timeout:           max(time.Duration(cfg.Timeout), 5*time.Second), // late for this session is good for the next
		CaseRandomization: cfg.DNS.CaseRandomization,
		OnDegraded: func(degraded bool) {
			if degraded {
				d.log.Warn("dns degraded: no rule that needs the DNS refuses until it recovers")
			} else {
				d.log.Info("dns recovered")
			}
		},
		OnPanic: d.onPanic,
	})
	if err != nil {
		return nil, &keyError{"dns.servers", err}
	}
	d.log.Info("resolving", "servers", resolver.Servers())
	return resolver, nil
}

// openRecords opens the decision log, unless it is open and still the file of that name. A file that
// cannot be opened is no reason not to serve, unless it is the configuration that is wrong, or new: it is
// tried again.
func (d *daemon) openRecords(cfg *Config) (io.Writer, error) {
	here := d.cfg != nil && d.cfg.DecisionLog == cfg.DecisionLog
	switch file, isFile := d.records.(*recordFile); {
	case cfg.DecisionLog == "":
		return nil, nil
	case here && (!isFile || file.isThere()):
		return d.records, nil
	case cfg.DecisionLog == "-":
		return &standardOutput{d.stdout}, nil
	}
	file := &recordFile{path: cfg.DecisionLog}
	err := file.open()
	wrong := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
	if err != nil && (d.cfg != nil && !here || wrong) {
		return nil, err
	} else if err != nil {
		d.log.Error("decision log: cannot be opened, decisions wait or are dropped", "error", err)
	}
	return file, nil
}

// serving is the configuration as package milter has it.
func (d *daemon) serving(c *change) *milter.Config {
	cfg := c.cfg
	dns := cfg.dns(c.resolver, func(list, answer string) {
		d.metrics.trouble.WithLabelValues(list).Inc()
		if ok, _ := d.lists.allow(list); ok {
			d.log.Warn("block list does not answer questions of this resolver: no listing is taken from it",
				"list", list, "answer", answer)
		}
	})
	dns.Degraded = c.resolver.Degraded
	serving := &milter.Config{
		Judge: cfg.judge(), DNS: dns, ReplyAt: cfg.ReplyAt, AuthResults: cfg.Header.AuthenticationResults,
		Log: d.log, OnPanic: d.onPanic,
	}
	if cfg.Header.Add {
		serving.Header = cfg.Header.Name
	}
	if cfg.HTTP.Listen != "" || cfg.DecisionLog != "" {
		serving.Decided = func(decision *checks.Decision) {
			d.metrics.decided(decision)
			if cfg.DecisionLog != "" {
				fmt.Fprintln(d.decisions, decision.Record(false))
			}
		}
	}
	return serving
}

// limits are those of the guard, which tells of each peer's violations once a minute.
func (d *daemon) limits(cfg *Config) milter.Limits {
	return milter.Limits{
		Connections: cfg.Limits.Connections, PerPeer: cfg.Limits.PerPeer, Peers: cfg.Limits.Peers,
		Idle: time.Duration(cfg.Limits.Idle),
		OnViolation: func(remote net.Addr, kind string) {
			d.metrics.violations.WithLabelValues(kind).Inc()
			peer := remote.String()
			if host, _, err := net.SplitHostPort(peer); err == nil {
				peer = host
			}
			if ok, untold := d.peers.allow(peer); ok {
				d.log.Warn("guard", "peer", cmp.Or(peer, remote.Network()), "kind", kind, "untold", untold)
			}
		},
	}
}
