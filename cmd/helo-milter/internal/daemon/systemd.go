package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"

	"helo-milter/cmd/helo-milter/internal/config"
)

// activatedSockets are those that systemd has opened for us (sd_listen_fds(3)), or nil. Those for the policy service
// have FileDescriptorName=policy (systemd.socket(5)), or their address in the configuration.
func activatedSockets() (sockets, error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, nil
	}
	all := sockets{}
	for i, file := range files {
		ln, err := net.FileListener(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("socket activation: file descriptor %d is not a listening stream socket", 3+i)
		}
		name := policyName(socketName(ln.Addr().Network(), ln.Addr().String()), file.Name() == "policy")
		for all[name] != nil { // SO_REUSEPORT
			name += " again"
		}
		all[name] = ln
	}
	return all, nil
}

// as returns the sockets as a configuration has them: for the policy service where it says so of their address.
func (s sockets) as(cfg *config.Config) sockets {
	all := sockets{}
	for name, ln := range s {
		listed := slices.ContainsFunc(cfg.Listen, func(a config.Address) bool {
			return a.Policy && socketName(a.Network, a.Address) == name
		})
		if listed {
			name = policyName(name, true)
		}
		all[name] = ln
	}
	return all
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
	if err := d.gate.Probe(ctx); err != nil {
		d.log.Error("self-test failed: watchdog notification withheld", "error", err)
		return
	}
	notify(d.log, sd.SdNotifyWatchdog)
}
