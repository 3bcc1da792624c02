package dnscache

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

const (
	// checkInterval is the least time between two checks of a resolv.conf.
	checkInterval = time.Second
	// maxConf is the largest resolv.conf in octets.
	maxConf = 64 << 10
)

// systemServers returns all nameservers of a resolv.conf(5). It returns an error if there is none, and if the
// file cannot be read or is longer than 64 KiB.
func systemServers(file string) ([]string, error) {
	text, err := readConf(file)
	if err != nil {
		return nil, fmt.Errorf("no DNS server configured, and resolv.conf cannot be read: %w", err)
	}
	servers := nameservers(text)
	if len(servers) == 0 {
		return nil, fmt.Errorf("no DNS server configured, and no nameserver line in %s", file)
	}
	return servers, nil
}

func readConf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConf+1))
	if err == nil && len(text) > maxConf { // what is cut off might make a shorter address of the last one
		err = errors.New(file + " is longer than 64 KiB")
	}
	return string(text), err
}

// nameservers returns the nameservers in the text of a resolv.conf(5). It ignores the lines and words that
// glibc and Go ignore, and servers that are not written as an address.
func nameservers(text string) []string {
	var servers []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		if err != nil {
			continue
		}
		if server := net.JoinHostPort(addr.String(), "53"); CheckServer(server) == nil {
			servers = append(servers, server)
		}
	}
	return servers
}

// reread replaces the servers if the resolv.conf has changed. It is called with each question, and checks the
// file at most once in checkInterval. While the file is missing, unreadable or without a nameserver, as
// between the two steps of a tool that replaces it, the old servers remain: they are the best guess, and if
// they do not answer, Degraded reports it.
func (p *pool) reread(now time.Duration) {
	p.mu.Lock()
	if p.file == "" || p.reading || now < p.check {
		p.mu.Unlock()
		return
	}
	p.reading = true
	p.check = now + checkInterval
	seen := p.seen
	p.mu.Unlock()

	info, servers := changed(p.file, seen) // without the lock: the file system may be slow

	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if len(servers) > 0 {
		p.seen = info
		p.set(servers)
	}
}

// changed returns file's info and servers if it differs from seen, else nil.
func changed(file string, seen os.FileInfo) (os.FileInfo, []string) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil
	}
	if seen != nil && os.SameFile(info, seen) && info.Size() == seen.Size() &&
		info.ModTime().Equal(seen.ModTime()) {
		return nil, nil
	}
	servers, err := systemServers(file)
	if err != nil {
		return nil, nil
	}
	return info, servers
}
