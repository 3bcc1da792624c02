package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/dnscache"
	"helo-milter/milter"
)

// shutdownTime is how long sessions may go on after SIGTERM.
const shutdownTime = 20 * time.Second

type serveCmd struct{}

// Run serves until the context ends.
func (serveCmd) Run(p *program) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	gomilter.LogWarning = func(format string, args ...any) {
		log.Debug("go-milter", "warning", fmt.Sprintf(format, args...))
	}
	m := newMetrics()
	serving, err := serving(cfg, log, m)
	if err != nil {
		return exitError{exitConfig, err}
	}
	if cfg.HTTP.Listen != "" {
		http, err := m.serve(cfg.HTTP.Listen)
		if err != nil {
			return exitError{exitConfig, err}
		}
		defer http.Close()
	}
	listeners, err := listen(cfg)
	if err != nil {
		return exitError{exitConfig, err}
	}
	server := milter.NewServer(serving)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for _, w := range cfg.warnings() {
		log.Warn("configuration", "warning", w)
	}
	fmt.Fprint(p.stdout, paste(cfg))
	log.Info("serving", "listen", cfg.Listen, "mode", cfg.Mode.String(), "profile", cfg.Profile.String())
	broken := serve(server, listeners, cfg, log, m)
	for {
		select {
		case <-hup:
			reload(p.config, server, cfg, log, m)
		case err := <-broken:
			shutdown(server, log)
			return fmt.Errorf("a listener broke: %w", err)
		case <-p.ctx.Done():
			log.Info("stopping", "sessions_have", shutdownTime.String())
			shutdown(server, log)
			return nil
		}
	}
}

// serving is the configuration as package milter has it.
func serving(cfg *Config, log *slog.Logger, m *metrics) (*milter.Config, error) {
	resolver, err := dnscache.New(dnscache.Config{
		Servers: cfg.DNS.Servers, Entries: cfg.DNS.CacheEntries,
		Timeout:           max(time.Duration(cfg.Timeout), 5*time.Second), // late for this session is good for the next
		CaseRandomization: cfg.DNS.CaseRandomization,
		OnDegraded: func(degraded bool) {
			if degraded {
				log.Warn("dns degraded: no rule that needs the DNS refuses until it recovers")
			} else {
				log.Info("dns recovered")
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	log.Info("resolving", "servers", resolver.Servers())
	trouble := hourly(log)
	c := &milter.Config{
		DNS: cfg.dns(resolver, func(list, answer string) {
			m.trouble.WithLabelValues(list).Inc()
			trouble(list, answer)
		}),
		Policy:  cfg.policy(),
		Exempt:  cfg.exemptions(),
		Deny:    cfg.deny(),
		Site:    cfg.site(),
		ReplyAt: cfg.ReplyAt,
		HelpURL: cfg.HelpURL,
		Log:     log,
	}
	ask := resolver.Degraded
	c.DNS.Degraded = ask
	m.degraded.Store(&ask)
	if cfg.Header.Add {
		c.Header = cfg.Header.Name
	}
	if cfg.HTTP.Listen != "" {
		c.Decided = m.decided
	}
	return c, nil
}

// hourly logs the trouble of a block list at most once an hour.
func hourly(log *slog.Logger) func(list, answer string) {
	var lock sync.Mutex
	last := map[string]time.Time{}
	return func(list, answer string) {
		lock.Lock()
		defer lock.Unlock()
		if at, ok := last[list]; ok && time.Since(at) < time.Hour {
			return
		}
		last[list] = time.Now()
		log.Warn("block list does not answer questions of this resolver: no listing is taken from it",
			"list", list, "answer", answer)
	}
}

// serve runs the server on its listeners, each behind a guard. What ends one comes from the channel.
func serve(
	server *milter.Server, listeners []net.Listener, cfg *Config, log *slog.Logger, m *metrics,
) <-chan error {
	broken := make(chan error, len(listeners))
	for _, ln := range listeners {
		guarded := milter.Guard(ln, milter.Limits{
			Connections: cfg.Limits.Connections,
			OnViolation: func(remote net.Addr, kind string) {
				m.violations.WithLabelValues(kind).Inc()
				log.Warn("guard", "peer", remote.String(), "kind", kind)
			},
		})
		go func() { broken <- server.Serve(guarded) }()
	}
	return broken
}

func shutdown(server *milter.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		log.Warn("stopped with sessions still open", "error", err)
	}
}

// reload takes the new configuration, or keeps the old one whole. Listeners stay as they are.
func reload(file string, server *milter.Server, started *Config, log *slog.Logger, m *metrics) {
	cfg, err := load(file)
	if err != nil {
		log.Error("reload failed, the old configuration stays", "error", err)
		return
	}
	serving, err := serving(cfg, log, m)
	if err != nil {
		log.Error("reload failed, the old configuration stays", "error", err)
		return
	}
	if !slices.Equal(cfg.Listen, started.Listen) || cfg.Limits != started.Limits || cfg.HTTP != started.HTTP {
		log.Warn("listen, limits and http take effect at the next start")
	}
	server.Configure(serving)
	for _, w := range cfg.warnings() {
		log.Warn("configuration", "warning", w)
	}
	log.Info("reloaded", "mode", cfg.Mode.String(), "profile", cfg.Profile.String())
}

// paste is what the administrator copies into the MTA's configuration.
func paste(cfg *Config) string {
	var b strings.Builder
	for _, l := range cfg.Listen {
		network, address, err := parseListen(l)
		if err != nil {
			continue // listen has opened it
		}
		postfix, sendmail := "unix:"+address, "local:"+address
		if network != "unix" {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				continue
			}
			family := "inet"
			if strings.Contains(host, ":") {
				family = "inet6"
			}
			postfix, sendmail = "inet:"+address, family+":"+port+"@"+host
		}
		fmt.Fprintf(&b, "Postfix, main.cf:\n    smtpd_milters = { %s, default_action=accept }\n", postfix)
		fmt.Fprintf(&b, "Sendmail, sendmail.mc:\n    INPUT_MAIL_FILTER(`helo-milter', `S=%s')dnl\n", sendmail)
	}
	return b.String()
}

// warnings are what is wrong with a configuration without being an error.
func (c *Config) warnings() []string {
	var list []string
	for _, key := range c.unavailable() {
		list = append(list, key+" is set, but this version does not have it yet: it has no effect")
	}
	for _, a := range c.Allow {
		if a.Expired(time.Now()) {
			who := a.Name
			if a.Network.IsValid() {
				who = strings.TrimSpace(a.Network.String() + " " + a.Name)
			}
			list = append(list, fmt.Sprintf("allow: the entry for %s (%q) has expired: it has no effect",
				who, a.Reason))
		}
	}
	return list
}
