package dnscache

import (
	"os"
	"slices"
	"sync"
	"time"
)

// pool is the servers and the health of each.
type pool struct {
	file string // the resolv.conf that names the servers; "" if Config does

	mu      sync.Mutex
	servers []*upstream   // in order of preference, each once, never empty
	seen    os.FileInfo   // file as it was when servers were read from it
	check   time.Duration // when to check next whether file has changed
	reading bool          // a goroutine reads file, without mu
}

// newPool returns a pool of the servers of cfg, or else of its resolv.conf.
func newPool(cfg Config) (*pool, error) {
	p := new(pool)
	servers := cfg.Servers
	if len(servers) == 0 {
		p.file = cfg.ResolvConf
		if p.file == "" {
			p.file = "/etc/resolv.conf"
		}
		p.check = checkInterval
		p.seen, _ = os.Stat(p.file) // before it is read: a change from now on counts
		var err error
		if servers, err = systemServers(p.file); err != nil {
			return nil, err
		}
	}
	for _, server := range servers {
		if err := CheckServer(server); err != nil {
			return nil, err
		}
	}
	p.set(servers)
	return p, nil
}

// set replaces the servers. Those that stay keep their health. The caller holds mu.
func (p *pool) set(addrs []string) {
	var servers []*upstream
	at := func(list []*upstream, addr string) int {
		return slices.IndexFunc(list, func(u *upstream) bool { return u.addr == addr })
	}
	for _, addr := range addrs {
		if at(servers, addr) >= 0 {
			continue
		}
		server := &upstream{addr: addr}
		if i := at(p.servers, addr); i >= 0 {
			server = p.servers[i]
		}
		servers = append(servers, server)
	}
	p.servers = servers
}

// Servers returns the servers in use, written as in Config.Servers, in order of preference.
func (r *Resolver) Servers() []string {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	var addrs []string
	for _, server := range r.pool.servers {
		addrs = append(addrs, server.addr)
	}
	return addrs
}
