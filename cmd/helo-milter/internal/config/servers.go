package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
)

// Servers are those that speak the Redis protocol and that the hosts of a fleet share.
type Servers struct {
	Addrs  []string // HOST:PORT, or the path of a unix socket; several are a Cluster, unless there is a Master
	Unix   bool
	TLS    bool
	Master string // the name that Sentinels know the server by: Addrs are theirs
	DB     int
}

// servers reads fleet.redis.
func servers(list []string) (s Servers, err error) {
	for i, text := range list {
		one, err := server(text)
		if err != nil {
			return Servers{}, err
		}
		addr := one.Addrs[0]
		switch one.Addrs = nil; {
		case i == 0:
			s = one
		case s.Unix || one.Unix:
			return Servers{}, fmt.Errorf("%q: a unix socket is one server, and not several", text)
		case s.TLS != one.TLS || s.Master != one.Master || s.DB != one.DB:
			return Servers{}, fmt.Errorf("%q: scheme, database and master_name must be the same for all", text)
		}
		s.Addrs = append(s.Addrs, addr)
	}
	if len(s.Addrs) > 1 && s.Master == "" && s.DB != 0 {
		return Servers{}, fmt.Errorf("database %d: a Cluster has only database 0", s.DB)
	}
	return s, nil
}

// server reads the URL of one.
func server(text string) (s Servers, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return s, fmt.Errorf("%q is not a URL such as redis://redis.example.net:6379", text)
	}
	if u.User != nil {
		return s, fmt.Errorf("redis://%s: the user goes to fleet.user, and the password to fleet.password_file", u.Host)
	}
	switch s.Unix, s.TLS = u.Scheme == "unix", u.Scheme == "rediss"; {
	case s.Unix && filepath.IsAbs(u.Path) && u.Host == "" && u.RawQuery == "":
		s.Addrs = []string{u.Path}
		return s, nil
	case u.Scheme != "redis" && !s.TLS || u.Hostname() == "":
		return s, fmt.Errorf("%q is not redis://HOST:PORT, rediss://HOST:PORT or unix:/path", text)
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	s.Addrs = []string{net.JoinHostPort(u.Hostname(), port)}
	if u.Path != "" && u.Path != "/" {
		if s.DB, err = strconv.Atoi(u.Path[1:]); err != nil || s.DB < 0 {
			return s, fmt.Errorf("%q: after the port there may be the number of a database: /1", text)
		}
	}
	query := u.Query()
	if s.Master = query.Get("master_name"); len(query) > 1 || len(query) == 1 && s.Master == "" || u.Fragment != "" {
		return s, fmt.Errorf("%q: only ?master_name=NAME may follow, for Sentinels", text)
	}
	return s, nil
}
