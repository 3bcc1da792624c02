package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"helo-milter/milter/opensmtpd"
)

// readyTime is how long /readyz waits for the listeners.
const readyTime = 5 * time.Second

// handler answers on /metrics, /healthz and /readyz. ready is nil when an MTA would be served.
func (m *metrics) handler(ready func(context.Context) error) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		err := ready(ctx)
		if err == nil && m.isDegraded() {
			err = errors.New("degraded: most DNS questions fail")
		}
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// ready is an error while an MTA would not be served.
func (d *Daemon) ready(ctx context.Context) error {
	if d.stopping.Load() {
		return errors.New("stopping")
	}
	if filter, ok := d.server.(*opensmtpd.Filter); ok {
		return filter.Ready()
	}
	return d.gate.Probe(ctx)
}

// maxScrapers is how many connections /metrics and the others have at a time, beside those of the console.
const maxScrapers = 20

// serve answers until the server is closed.
func (d *Daemon) serve(ln net.Listener) *http.Server {
	mux := d.metrics.handler(d.ready)
	mux.HandleFunc("GET /debug/pprof/", d.profile)
	mux.HandleFunc("/console/", d.showConsole)
	mux.HandleFunc("GET /{$}", d.showFirst)
	socket := &scraped{Listener: ln, daemon: d}
	server := &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog:  slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		ConnState: socket.count,
	}
	go func() { _ = server.Serve(socket) }() // ends with Close
	return server
}

// scraped are the connections of a listener that http.allow takes, and no more than there may be: whoever finds the port
// must not take the files that mail needs.
type scraped struct {
	net.Listener
	daemon *Daemon
	open   atomic.Int32
}

// Accept closes the connections of others.
func (s *scraped) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil || s.open.Load() < s.daemon.mostScrapers.Load() && s.daemon.mayScrape(conn.RemoteAddr()) {
			return conn, err
		}
		_ = conn.Close()
	}
}

// count is http.Server.ConnState.
func (s *scraped) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew: // before the next Accept
		s.open.Add(1)
	case http.StateClosed:
		s.open.Add(-1)
	}
}

// mayScrape reports whether a peer may connect to the HTTP server. Others are logged at most once a minute.
func (d *Daemon) mayScrape(remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	allow := *d.scrapers.Load()
	if !ok || len(allow) == 0 {
		return true
	}
	peer := tcp.AddrPort().Addr().Unmap().WithZone("")
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		return true
	}
	if ok, suppressed := d.violations.allow("http " + peer.String()); ok {
		d.log.Warn("http: a host that http.allow does not have", "peer", peer, "suppressed", suppressed)
	}
	return false
}

// profile answers on /debug/pprof/ as net/http/pprof does, if http.pprof is on.
func (d *Daemon) profile(w http.ResponseWriter, r *http.Request) {
	if !d.profiled.Load() {
		http.Error(w, "off: set http.pprof = true", http.StatusNotFound)
		return
	}
	switch r.URL.Path {
	case "/debug/pprof/profile":
		pprof.Profile(w, r)
	case "/debug/pprof/trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}
