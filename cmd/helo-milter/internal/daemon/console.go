package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/console"
	"helo-milter/cmd/helo-milter/internal/fleet"
)

// readToken reads the password of the console. Whoever only checks a configuration may not be allowed to.
func (d *Daemon) readToken(c *change) (err error) {
	if !c.cfg.HTTP.Console || c.cfg.HTTP.TokenFile == "" {
		return nil
	}
	c.token, err = console.ReadToken(c.cfg.HTTP.TokenFile)
	if err == nil || d.metrics == nil && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return &config.KeyError{Key: "http.token_file", Err: err}
}

// useConsole opens, changes or closes the console.
func (d *Daemon) useConsole(c *change) {
	shown := d.console.Load()
	if !c.cfg.HTTP.Console {
		d.console.Store(nil)
		d.mostScrapers.Store(maxScrapers)
		if shown != nil {
			d.feed.Use(nil)
			shown.Close()
		}
		return
	}
	if shown == nil {
		shown = console.New()
		shown.OnPanic, shown.OnWrongPassword = d.onPanic, d.wrongPassword
	}
	d.mostScrapers.Store(maxScrapers + console.MaxConnections)
	resolver := c.resolver
	shown.Use(&console.Settings{
		Config: c.cfg, Token: c.token, Servers: resolver.Servers, Lookups: d.lookups.Snapshot, Dropped: d.feed.Dropped,
		Fleet: c.shared.shown(),
	})
	if d.console.Swap(shown) == nil {
		d.feed.Use(shown)
	}
}

// shownFleet is what hosts share, as the console takes it.
type shownFleet struct{ *fleet.Server }

// shown returns it, or nil.
func (s *shared) shown() console.Fleet {
	if s == nil {
		return nil
	}
	return shownFleet{s.server}
}

// Open implements console.Fleet.
func (f shownFleet) Open(ctx context.Context, host string, from time.Time) (console.Stream, error) {
	return opened(f.Server.Open(ctx, host, from))
}

// OpenEnd implements console.Fleet.
func (f shownFleet) OpenEnd(ctx context.Context, host string, n int) (console.Stream, error) {
	return opened(f.Server.OpenEnd(ctx, host, n))
}

func opened(s *fleet.Stream, err error) (console.Stream, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// wrongPassword logs a peer's wrong passwords, at most once a minute.
func (d *Daemon) wrongPassword(peer string) {
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	if ok, suppressed := d.violations.allow("console " + peer); ok {
		d.log.Warn("console: wrong password", "peer", peer, "suppressed", suppressed)
	}
}

// showConsole answers below /console/, if http.console is on.
func (d *Daemon) showConsole(w http.ResponseWriter, r *http.Request) {
	if shown := d.console.Load(); shown != nil {
		shown.ServeHTTP(w, r)
		return
	}
	http.Error(w, "off: set http.console = true", http.StatusNotFound)
}

// showFirst leads to the console from the address of the listener, which is what people type.
func (d *Daemon) showFirst(w http.ResponseWriter, r *http.Request) {
	if d.console.Load() != nil {
		w.Header().Set("Location", "console/") // relative, since a proxy may have put us below a path
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	http.NotFound(w, r)
}
