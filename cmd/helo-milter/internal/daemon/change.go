package daemon

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/dnscache"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// change is a configuration with all that it needs, open and not in use yet.
type change struct {
	cfg      *config.Config
	files    files
	resolver *dnscache.Resolver
	serving  *door.Config
	sockets  sockets      // all, those that stay included
	gid      int          // the group of unix sockets; -1: the daemon's own
	http     net.Listener // nil: as it is, or none
	help     net.Listener // the same
	keys     *help.Keys   // nil: no links
	token    string       // of the console
	records  io.Writer    // nil: none
	shared   *shared      // nil: no fleet

	opened []io.Closer // what was not open before
}

// Check is the error that New would have about a configuration, as far as it can be known without opening
// anything: that a port is free or a directory there is found out by whoever opens it.
func Check(cfg *config.Config) error {
	_, err := new(Daemon).examine(cfg)
	return err
}

// Missing are the directories that New needs and that are not there: whoever starts the service may make them
// first, as systemd does.
func Missing(cfg *config.Config) (list []string) {
	files := []string{cfg.DecisionLog}
	if cfg.Help.KeyFile != "" {
		files = append(files, cfg.Help.KeyFile)
	}
	for _, a := range append(slices.Clone(cfg.Listen), cfg.HTTP.Listen, cfg.Help.Listen) {
		if a.Network == "unix" {
			files = append(files, a.Address)
		}
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			list = append(list, dir)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// examine makes of a configuration what it can without opening anything.
func (d *Daemon) examine(cfg *config.Config) (*change, error) {
	c := &change{cfg: cfg}
	for _, step := range []func(*change) error{
		shareFiles, d.makeResolver, checkListeners, checkFiles, findGroup, d.checkFilter, checkKeys,
		d.readToken, d.readFleet,
	} {
		if err := step(c); err != nil {
			return nil, cfg.Placed(err)
		}
	}
	return c, nil
}

// prepare opens what a configuration needs beyond what is open: all of it, or nothing.
func (d *Daemon) prepare(cfg *config.Config) (*change, error) {
	c, err := d.examine(cfg)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(*change) error{
		d.openSockets, d.openHTTP, d.openHelp, d.openKeys, d.openDecisionLog, d.openFleet,
		d.giveAccess, // last: it changes what is in use
	} {
		if err := step(c); err != nil && !d.goesOn(err) {
			for _, o := range c.opened {
				_ = o.Close()
			}
			return nil, cfg.Placed(err)
		}
	}
	c.serving = d.serving(c)
	return c, nil
}

// openSockets takes the sockets of systemd, or else those that are there and new ones.
func (d *Daemon) openSockets(c *change) error {
	if d.activated != nil {
		c.sockets = d.activated.as(c.cfg)
		return c.sockets.checkPeers(c.cfg)
	}
	all, opened, err := d.sockets.with(c)
	c.sockets, c.opened = all, append(c.opened, opened...)
	return err
}

func (d *Daemon) openHTTP(c *change) (err error) {
	c.http, err = c.openPages("http.listen", c.cfg.HTTP.Listen, d.http)
	return err
}

func (d *Daemon) openHelp(c *change) (err error) {
	c.help, err = c.openPages("help.listen", c.cfg.Help.Listen, d.help)
	return err
}

func (d *Daemon) openDecisionLog(c *change) (err error) {
	if c.records, err = d.openRecords(c.cfg); err != nil {
		return &config.KeyError{Key: "decision_log", Err: err}
	}
	if file, ok := c.records.(io.Closer); ok && c.records != d.records {
		c.opened = append(c.opened, file)
	}
	return nil
}

// giveAccess sets mode and group of the sockets that stay: as the change has them, or else as they were.
func (d *Daemon) giveAccess(c *change) (err error) {
	var stay []net.Listener
	for _, s := range c.sockets {
		if slices.Contains(slices.Collect(maps.Values(d.sockets)), s) {
			stay = append(stay, s)
		}
	}
	if d.http != nil && c.http == nil && c.cfg.HTTP.Listen.Network != "" {
		stay = append(stay, d.http.socket)
	}
	if d.help != nil && c.help == nil && c.cfg.Help.Listen.Network != "" {
		stay = append(stay, d.help.socket)
	}
	for _, s := range stay {
		err = errors.Join(err, c.access().give(s))
	}
	for _, s := range stay {
		if err != nil {
			_ = d.access.give(s)
		}
	}
	return err
}

// commit puts a change in use, and closes what is not needed any more.
func (d *Daemon) commit(c *change) {
	d.lines.use(c.cfg)
	d.record(c.records)
	d.gate.SetLimits(d.limits(c))
	d.server.Configure(c.serving)
	d.policy.Configure(c.serving)
	stay := map[net.Listener]bool{}
	for name, s := range c.sockets {
		stay[s] = true
		if d.sockets[name] != s {
			d.gate.Add(s, d.door(name))
		}
	}
	for _, s := range d.sockets {
		if !stay[s] {
			_ = d.gate.Remove(s)
		}
	}
	d.useFleet(c)
	d.useConsole(c)
	d.useHTTP(c)
	d.useHelp(c)
	d.mended.use(c.cfg)
	d.useSelf(c)
	d.metrics.resolve(c.resolver)
	d.metrics.use(c.cfg, c.files.connections)
	if c.resolver != d.resolver {
		d.log.Info("resolving", "servers", c.resolver.Servers())
	}
	d.cfg, d.resolver, d.sockets, d.access = c.cfg, c.resolver, c.sockets, c.access()
	d.watchList(c.cfg, c.shared)
	d.warnFiles(c.files)
}

// door is what serves a socket.
func (d *Daemon) door(name string) gate.Door {
	if strings.HasPrefix(name, forPolicy) {
		return d.policy
	}
	return d.guard
}

// useHTTP puts the HTTP server of a change in the place of the one in use.
func (d *Daemon) useHTTP(c *change) {
	d.scrapers.Store(&c.cfg.HTTP.Allow)
	d.profiled.Store(c.cfg.HTTP.Pprof)
	d.http = d.http.next(c.cfg.HTTP.Listen, c.http, d.serve)
}

// record has the decisions go to a file from now on.
func (d *Daemon) record(file io.Writer) {
	if file != d.records {
		d.decisions.Use(file)
		d.records = file
	}
}

// warn logs what is wrong with the configuration in use without being an error.
func (d *Daemon) warn() {
	for _, w := range d.cfg.Warnings() {
		d.log.Warn("configuration", "warning", w)
	}
}

// reload takes the new configuration, or keeps the old one whole. The decision log is reopened in any
// case: it may have been moved away.
func (d *Daemon) reload() {
	cfg, err := config.Load(d.cfg.File)
	if err == nil && len(cfg.Fleet.Redis) > 0 && d.cfg.List != nil && (cfg.List == nil || d.cfg.List.Newer(cfg.List)) {
		cfg = cfg.Listed(d.cfg.List, time.Now()) // no copy could be kept
	}
	var c *change
	if err == nil {
		c, err = d.prepare(cfg)
	}
	d.metrics.reloaded(err)
	if err == nil {
		d.commit(c)
		d.warn()
		d.log.Info("reloaded", "mode", cfg.Mode.String(), "profile", cfg.Profile.String())
		return
	}
	d.log.Error("reload failed, keeping the old configuration", "error", err)
	if records, err := d.openRecords(d.cfg); err == nil {
		d.record(records)
	}
}
