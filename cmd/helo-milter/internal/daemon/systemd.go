package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
)

// activatedSockets are those that systemd has opened for us (sd_listen_fds(3)), or nil.
func activatedSockets() (sockets, error) {
	listeners, err := activation.Listeners()
	if err != nil || len(listeners) == 0 {
		return nil, err
	}
	all := sockets{}
	for i, ln := range listeners {
		if ln == nil {
			return nil, fmt.Errorf("socket activation: file descriptor %d is not a listening stream socket", 3+i)
		}
		name := socketName(ln.Addr().Network(), ln.Addr().String())
		for all[name] != nil { // SO_REUSEPORT
			name += " again"
		}
		all[name] = ln
	}
	return all, nil
}

// notify tells the service manager of a state, if there is one: sd_notify(3). The library's SdNotify blocks
// for ever when it is not read.
func notify(log *slog.Logger, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path})
	if err == nil {
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = conn.Write([]byte(state))
	}
	if err != nil {
		log.Warn("cannot notify the service manager", "error", err)
	}
}

// watchdog beats when it is time for a sign of life, three times in the interval that the service manager
// waits; never without one.
type watchdog struct {
	beat   <-chan time.Time
	within time.Duration // what a sign of life may take
	stop   func()
}

func newWatchdog(log *slog.Logger) watchdog {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("WATCHDOG_USEC or WATCHDOG_PID is invalid: watchdog disabled", "error", err)
	}
	if err != nil || interval <= 0 {
		return watchdog{stop: func() {}}
	}
	ticker := time.NewTicker(interval / 3)
	return watchdog{ticker.C, interval / 3, ticker.Stop}
}

// live gives the sign of life when an MTA would be served.
func (d *Daemon) live(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := d.guard.Probe(ctx); err != nil {
		d.log.Error("self-test failed: watchdog notification withheld", "error", err)
		return
	}
	notify(d.log, sd.SdNotifyWatchdog)
}
