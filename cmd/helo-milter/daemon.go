package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"helo-milter/cmd/helo-milter/internal/spool"
	"helo-milter/dnscache"
	"helo-milter/milter"
)

// daemon is what serves, whatever its configuration. Its methods are for one goroutine.
type daemon struct {
	file      string // of the configuration
	stdout    io.Writer
	log       *slog.Logger
	metrics   *metrics
	decisions *spool.Spool // the decision log
	guard     *milter.Guard
	server    *milter.Server
	activated sockets // what systemd opened for us, instead of the configured ones
	onPanic   func(value any, stack []byte)
	peers     *rarely // whose violations were told of
	lists     *rarely // whose troubles were told of

	// What the configuration in use has open.
	cfg      *Config
	resolver *dnscache.Resolver
	sockets  sockets
	http     *http.Server
	records  io.Writer // where the decisions go, or nil
}

// change is a configuration with all that it needs, open and not in use yet.
type change struct {
	cfg      *Config
	resolver *dnscache.Resolver
	serving  *milter.Config
	sockets  sockets      // all, those that stay included
	http     net.Listener // nil: as it is, or none
	records  io.Writer    // nil: none
}

// keyError is what is wrong with the value of a key, as it shows when it is used.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// placed says where in the configuration file the key is, as for other mistakes.
func (d *daemon) placed(err error) error {
	wrong, ok := errors.AsType[*keyError](err)
	if !ok || d.file == "" {
		return err
	}
	text, readErr := os.ReadFile(d.file)
	if readErr != nil {
		return err
	}
	line, col := locate(text, wrong.key, 0)
	return fmt.Errorf("%s:%d:%d: %w", d.file, line, col, err)
}

// newDaemon returns a daemon that does nothing yet.
func newDaemon(p *program, log *slog.Logger) (*daemon, error) {
	activated, err := activatedSockets()
	if err != nil {
		return nil, err
	}
	d := &daemon{
		file: p.config, stdout: p.stdout, log: log, metrics: newMetrics(), activated: activated,
		peers: newRarely(time.Minute), lists: newRarely(time.Hour),
	}
	d.onPanic = d.metrics.panicked(log)
	troubles := newRarely(time.Minute)
	d.decisions = spool.New(nil, func(err error) {
		if ok, _ := troubles.allow(""); ok {
			log.Error("decision log: cannot be written, decisions wait or are dropped", "error", err)
		}
	})
	d.metrics.spool("decision_log", d.decisions)
	return d, nil
}

// prepare opens what a configuration needs beyond what is open: all of it, or nothing.
func (d *daemon) prepare(cfg *Config) (_ *change, err error) {
	c := &change{cfg: cfg, sockets: d.activated}
	var opened []io.Closer
	defer func() {
		for _, o := range opened {
			if err != nil {
				_ = o.Close()
			}
		}
	}()
	if c.resolver, err = d.resolverOf(cfg); err != nil {
		return nil, err
	}
	if c.sockets == nil {
		var fresh []io.Closer
		c.sockets, fresh, err = d.sockets.with(cfg)
		if opened = append(opened, fresh...); err != nil {
			return nil, err
		}
	} else if err = c.sockets.openToStrangers(cfg); err != nil {
		return nil, err
	}
	if cfg.HTTP.Listen != "" && (d.cfg == nil || cfg.HTTP.Listen != d.cfg.HTTP.Listen) {
		if c.http, err = net.Listen("tcp", cfg.HTTP.Listen); err != nil {
			return nil, &keyError{"http.listen", err}
		}
		opened = append(opened, c.http)
	}
	if c.records, err = d.openRecords(cfg); err != nil {
		return nil, &keyError{"decision_log", err}
	}
	if file, ok := c.records.(io.Closer); ok && c.records != d.records {
		opened = append(opened, file)
	}
	if err = d.giveAccess(c); err != nil { // last: it changes what is in use
		return nil, err
	}
	c.serving = d.serving(c)
	return c, nil
}

// giveAccess sets who may connect to the sockets that stay: as the change has it, or else as it was.
func (d *daemon) giveAccess(c *change) (err error) {
	for name, s := range d.sockets {
		if c.sockets[name] == s {
			err = errors.Join(err, c.cfg.giveAccess(s))
		}
	}
	for _, s := range d.sockets {
		if err != nil {
			_ = d.cfg.giveAccess(s)
		}
	}
	return err
}

// commit puts a change in use, and closes what is not needed any more.
func (d *daemon) commit(c *change) {
	limits := d.limits(c.cfg)
	if d.guard == nil {
		d.guard = milter.NewGuard(limits)
		d.server = milter.NewServer(c.serving, d.guard)
		d.metrics.watch(d.server, d.guard)
	}
	d.record(c.records)
	d.guard.SetLimits(limits)
	d.server.Configure(c.serving)
	for name, s := range c.sockets {
		if d.sockets[name] != s {
			d.guard.Add(s)
		}
	}
	for name, s := range d.sockets {
		if c.sockets[name] != s {
			_ = d.guard.Remove(s)
		}
	}
	if d.http != nil && (c.http != nil || c.cfg.HTTP.Listen == "") {
		_ = d.http.Close()
		d.http = nil
	}
	if c.http != nil {
		d.http = d.metrics.serve(c.http, d.log)
	}
	degraded := c.resolver.Degraded
	d.metrics.degraded.Store(&degraded)
	d.cfg, d.resolver, d.sockets = c.cfg, c.resolver, c.sockets
	for _, w := range c.cfg.warnings() {
		d.log.Warn("configuration", "warning", w)
	}
	if most, ok := openFiles(); ok && most < c.cfg.Limits.Connections+spareFiles {
		d.log.Warn("limits.connections does not fit: raise LimitNOFILE of the service, or ulimit -n",
			"connections", c.cfg.Limits.Connections, "open_files", most)
	}
}

// reload takes the new configuration, or keeps the old one whole. The decision log is opened anew in any
// case: whoever moved it away waits for that.
func (d *daemon) reload() {
	cfg, err := load(d.file)
	var c *change
	if err == nil {
		c, err = d.prepare(cfg)
	}
	d.metrics.reloaded(err)
	if err == nil {
		d.commit(c)
		d.log.Info("reloaded", "mode", cfg.Mode.String(), "profile", cfg.Profile.String())
		return
	}
	d.log.Error("reload failed, the old configuration stays", "error", d.placed(err))
	if records, err := d.openRecords(d.cfg); err == nil {
		d.record(records)
	}
}

// record has the decisions go to a file from now on.
func (d *daemon) record(file io.Writer) {
	if file != d.records {
		d.decisions.Use(file)
		d.records = file
	}
}

// stop takes no further connections, gives transactions their time, and closes everything.
func (d *daemon) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(d.cfg.Limits.Shutdown))
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		d.log.Warn("stopped in the middle of transactions", "error", err)
	}
	if d.http != nil {
		_ = d.http.Close()
	}
	d.decisions.Close(flushTime)
}

// flushTime is how long the last lines may take to be written.
const flushTime = 2 * time.Second
