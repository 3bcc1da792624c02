package dnscache

import (
	"os"
	"slices"
	"sync"
	"time"
)

// pool is whom to ask, and how well each of them is. It grows no larger than the list of servers.
type pool struct {
	file string // the resolv.conf that names the servers; "" where Config does

	mu      sync.Mutex
	servers []*upstream // in the order of preference, each once, never empty
	seen    os.FileInfo // file as it was when servers came from it
	look    time.Duration
	reading bool // by somebody, who has let go of mu
}

// newPool takes the servers of cfg, or else those of its resolv.conf.
func newPool(cfg Config) (*pool, error) {
	p := new(pool)
	servers := cfg.Servers
	if len(servers) == 0 {
		p.file = cfg.ResolvConf
		if p.file == "" {
			p.file = "/etc/resolv.conf"
		}
		p.look = lookInterval
		p.seen, _ = os.Stat(p.file) // before the reading: a change after that is a change
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

// set replaces the servers. Those that stay keep what is known of them. The caller holds mu.
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

// Servers returns the servers in use as in Config.Servers, in the order of preference.
func (r *Resolver) Servers() []string {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	var addrs []string
	for _, server := range r.pool.servers {
		addrs = append(addrs, server.addr)
	}
	return addrs
}
