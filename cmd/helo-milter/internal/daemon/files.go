package daemon

import (
	"cmp"
	"syscall"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/console"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/dnscache"
)

const (
	// ownFiles are what is open beside connections and questions: maxScrapers, logs, listeners, what Accept
	// has not refused yet, the watchdog's probe, what a reload reads.
	ownFiles = maxScrapers + 24
	// systemServers is how many servers a resolv.conf may name (resolv.conf(5), MAXNS).
	systemServers = 3
)

// files are how the files that the process may open are shared out.
type files struct {
	most, wanted int // that there are, and that suffice for all; most is 0 if it is not known
	connections  int // each has one
	questions    int // with the servers of the DNS, each with several sockets
}

// shareFiles shares out the files that there are, so that questions, of which strangers cause as many as
// there may be, never leave connections without.
func shareFiles(c *change) error {
	c.files = share(c.cfg, openFiles())
	c.cfg.Resolver.InFlight = c.files.questions
	return nil
}

// share lowers the questions where the files do not suffice, and then the connections, but neither gets less
// than half so that the other gets more.
func share(cfg *config.Config, most int) files {
	each := dnscache.SocketsPerServer * cmp.Or(len(cfg.Resolver.Servers), systemServers)
	f := files{most: most, connections: cfg.Limits.Connections, questions: dnscache.DefaultInFlight}
	own := ownFiles
	if cfg.Help.Listen.Network != "" {
		own += help.MaxConnections
	}
	if cfg.HTTP.Console {
		own += console.MaxConnections
	}
	if len(cfg.Fleet.Redis) > 0 {
		own += fleet.MaxConnections * len(cfg.Fleet.Servers.Addrs)
	}
	f.wanted = own + f.connections + f.questions*each
	if most == 0 || most >= f.wanted {
		return f
	}
	rest := most - own
	f.questions = max(1, min(f.questions, max(rest-f.connections, rest/2)/each))
	f.connections = max(1, min(f.connections, rest-f.questions*each))
	return f
}

// warnFiles logs what share has lowered.
func (d *Daemon) warnFiles(f files) {
	if f.most == 0 || f.most >= f.wanted {
		return
	}
	d.log.Warn("open file limit too low, limits are lowered: set LimitNOFILE of the service, or ulimit -Hn",
		"open_files", f.most, "needed", f.wanted, "connections", f.connections, "dns_questions", f.questions)
}

// openFiles is how many files this process may open, or 0 if that is not known. The Go runtime has raised the
// limit to the hard limit.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<30))
}
