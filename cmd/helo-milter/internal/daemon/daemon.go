// Package daemon is what serves: it keeps a milter.Server and a policy.Server running with a configuration, and puts
// another in its place on request.
//
// New opens all that the configuration needs, and Run serves. What is open while a configuration is in use
// (the resolver and its cache, sockets, the HTTP server, the decision log) is in a change first (change.go):
// examine finds what is wrong with the configuration without opening anything, which is all that `config`
// does, prepare opens what is not open yet, all of it or nothing, and commit puts it in use and closes what
// is not needed any more. The start is the first change, and each SIGHUP the next, so that a mistake never
// stops a daemon that runs. What a session does goes the other way: milter calls back (serving.go), and the
// decision is counted (metrics.go; http.go shows it) and written to the decision log (recordfile.go) by way of
// a spool, for which nobody waits. Events that any peer can trigger are logged through a throttle.
//
// To open something else for a configuration: add a field to change and to Daemon, a step to prepare that
// takes what is in use where it fits and otherwise opens it and notes in opened what to close, and a line in
// commit.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/console"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/cmd/helo-milter/internal/listfile"
	"helo-milter/cmd/helo-milter/internal/lookups"
	"helo-milter/cmd/helo-milter/internal/sentinel"
	"helo-milter/cmd/helo-milter/internal/spool"
	"helo-milter/dnscache"
	"helo-milter/milter"
	"helo-milter/milter/gate"
	"helo-milter/milter/policy"
)

// Daemon serves, whatever its configuration. Its methods are for one goroutine.
type Daemon struct {
	stdout    io.Writer
	lines     *lines       // the log
	log       *slog.Logger // writes to it
	decisions *spool.Spool // the decision log
	metrics   *metrics
	gate      *gate.Gate
	guard     *milter.Guard
	server    server
	smtpd     io.Reader // what a filter of OpenSMTPD reads; nil: it is none
	policy    *policy.Server
	stopping  atomic.Bool
	activated sockets // what systemd opened for us, instead of the configured ones

	violations  *throttle // by peer
	listTrouble *throttle // by block list
	filters     *throttle // for all names
	onPanic     func(value any, stack []byte)

	// What the configuration in use has open.
	cfg      *config.Config
	resolver *dnscache.Resolver
	sockets  sockets
	access   access // to unix sockets
	http     *pages
	scrapers atomic.Pointer[[]netip.Prefix] // those that may connect to it; empty is all
	profiled atomic.Bool                    // it answers on /debug/pprof/
	records  io.Writer                      // where the decisions go, or nil

	console      atomic.Pointer[console.Console] // nil: off
	feed         *spool.Spool                    // of its decisions
	lookups      *lookups.Lookups                // of its page about the DNS
	mostScrapers atomic.Int32                    // connections to http

	shared      atomic.Pointer[shared] // nil: no fleet
	fleetSpool  *spool.Spool           // of its decisions
	fleetErrors *throttle              // by part and kind
	buffers     spool.Buffers          // for records

	page   *help.Server // for senders who were refused
	help   *pages       // on which it answers
	keys   *help.Keys   // of its links, or nil
	mended *mended

	listWatch *listWatch              // for changes of the allow and deny list; nil: it cannot change
	newList   chan *listfile.Document // what it has found

	self *sentinel.Watch // of the addresses that mail is sent from
}

// flushTime is how long the last lines of a log may take to be written.
const flushTime = 2 * time.Second

// New opens what the configuration needs, for Run. It logs to stderr. The decision log goes to stdout
// where the configuration says so, and otherwise what to paste into the MTA's configuration. An error is
// about the configuration or about the sockets that systemd has passed.
func New(cfg *config.Config, stdout, stderr io.Writer) (*Daemon, error) {
	return newDaemon(stdout).begin(cfg, stderr)
}

func newDaemon(stdout io.Writer) *Daemon {
	return &Daemon{
		stdout: stdout, metrics: newMetrics(), self: sentinel.NewWatch(sentinel.Every),
		lookups: lookups.New(), page: help.NewServer(), mended: newMended(), violations: newThrottle(time.Minute), listTrouble: newThrottle(time.Hour),
		newList: make(chan *listfile.Document),
		filters: newThrottle(time.Hour), fleetErrors: newThrottle(time.Minute),
	}
}

func (d *Daemon) begin(cfg *config.Config, stderr io.Writer) (*Daemon, error) {
	d.openLogs(cfg, stderr)
	if err := d.start(cfg); err != nil {
		d.decisions.Close(0)
		d.feed.Close(0)
		d.fleetSpool.Close(0)
		d.lines.Close(flushTime)
		return nil, err
	}
	return d, nil
}

// openLogs makes the log, and the decision log that has no file yet.
func (d *Daemon) openLogs(cfg *config.Config, stderr io.Writer) {
	d.lines = newLines(stderr, cfg)
	d.log = slog.New(d.lines)
	fleet.Debug(func(text string) { d.log.Debug("go-redis", "warning", clean.Log(text)) })
	gomilter.LogWarning = func(format string, args ...any) {
		d.log.Debug("go-milter", "warning", clean.Log(fmt.Sprintf(format, args...)))
	}
	d.onPanic = d.metrics.panicked(d.log)
	failures := newThrottle(time.Minute)
	d.decisions = spool.New(nil, func(err error) {
		if ok, _ := failures.allow(""); ok {
			d.log.Error("decision log: cannot be written, records wait in memory or are dropped", "error", err)
		}
	})
	d.feed = spool.New(nil, nil)
	d.fleetSpool = spool.New(nil, d.fleetTrouble("decisions"))
	d.mended.log, d.mended.onPanic = d.log, d.onPanic
	d.metrics.registry.MustRegister(d.mended.gauge())
	d.page.Log, d.page.OnPanic = d.log, d.onPanic
	d.page.OnRequest = func(what string) { d.metrics.help.count(what) }
	d.self.OnEdge, d.self.OnPanic = d.selfChanged, d.onPanic
	d.metrics.registry.MustRegister(newSelfMetrics(d.self.Known))
	d.metrics.spool("log", d.lines.Spool)
	d.metrics.spool("decision_log", d.decisions)
	d.metrics.spool("console", d.feed)
	d.metrics.spool("fleet", d.fleetSpool)
}

// start puts the first configuration in use.
func (d *Daemon) start(cfg *config.Config) (err error) {
	if d.smtpd == nil {
		d.activated, err = activatedSockets()
	}
	if err != nil {
		return err
	}
	first, err := d.prepare(cfg)
	if err != nil {
		return err
	}
	d.gate = gate.New(d.limits(first))
	d.guard = milter.NewGuard(d.gate)
	d.server = d.newServer(first)
	d.policy = policy.NewServer(first.serving, d.gate)
	d.metrics.watch(d.connections, d.server, d.policy)
	d.commit(first)
	d.metrics.read()
	d.warn()
	return nil
}

// Run serves until the context ends, or until a listener breaks, which is the error, or until smtpd closes the
// filter's input. It reads the configuration file again for each signal of hup. It returns when the open
// transactions have ended, or had their time.
func (d *Daemon) Run(ctx context.Context, hup <-chan os.Signal) error {
	defer d.lines.Close(flushTime)
	served := make(chan error, 1)
	go func() { served <- d.server.Serve() }()
	d.introduce()
	stopSelf := d.watchSelf()
	err := d.loop(ctx, hup, served)
	stopSelf()
	d.stop()
	return err
}

// loop waits for what happens to a daemon.
func (d *Daemon) loop(ctx context.Context, hup <-chan os.Signal, served <-chan error) error {
	notify(d.log, sd.SdNotifyReady)
	watchdog := newWatchdog(d.log)
	defer watchdog.stop()
	for {
		select {
		case <-hup:
			notify(d.log, sd.SdNotifyReloading+"\n"+sd.SdNotifyMonotonicUsec())
			d.reload()
			notify(d.log, sd.SdNotifyReady)
		case found := <-d.newList:
			d.takeList(found)
		case <-watchdog.beat:
			d.live(ctx, watchdog.within)
		case err := <-served:
			if d.smtpd != nil {
				return err
			}
			return fmt.Errorf("listener failed: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// stop takes no further connections, gives transactions their time, and closes everything but the log.
func (d *Daemon) stop() {
	d.stopping.Store(true)
	notify(d.log, sd.SdNotifyStopping)
	d.log.Info("stopping", "transactions", d.server.Transactions()+d.policy.Transactions(), "grace", d.cfg.Shutdown)
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.Shutdown)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if err := errors.Join(err, d.policy.Shutdown(ctx)); err != nil {
		d.log.Warn("stopped with open transactions", "error", err)
	}
	for _, pages := range []*pages{d.http, d.help} {
		if pages != nil {
			_ = pages.Close()
		}
	}
	d.decisions.Close(flushTime) // first: what reads from a disk that hangs may not end
	if shown := d.console.Load(); shown != nil {
		shown.Close()
	}
	d.feed.Close(0)
	if d.listWatch != nil {
		d.listWatch.close()
	}
	d.fleetSpool.Close(flushTime)
	if shared := d.shared.Load(); shared != nil {
		_ = shared.Close()
	}
	d.mended.close()
}
