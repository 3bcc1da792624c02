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
	// lookInterval is how long a resolv.conf is not looked at again.
	lookInterval = time.Second
	// maxConf bounds the octets of a resolv.conf.
	maxConf = 64 << 10
)

// systemServers reads the nameservers of a resolv.conf(5), all of them. It fails when there is none
// and when the file cannot be read or is longer than 64 KiB.
func systemServers(file string) ([]string, error) {
	text, err := readConf(file)
	if err != nil {
		return nil, fmt.Errorf("no DNS server configured, and no resolv.conf: %w", err)
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
	if err == nil && len(text) > maxConf { // a cut might leave a shorter address that is one too
		err = errors.New(file + " is longer than 64 KiB")
	}
	return string(text), err
}

// nameservers reads the text of a resolv.conf(5) as glibc and Go do: lines and words that they would
// pass over are passed over. Only addresses count, as a name had to be looked up first.
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

// reread takes the servers of a resolv.conf that has changed. It looks at the file on the way of a
// question, at most once a second. While the file is missing, unreadable or names nobody, as between
// the two steps of a tool that writes it anew, the old servers remain: they are the best guess there
// is, and if they are no good, the questions fail and Degraded tells.
func (p *pool) reread(now time.Duration) {
	p.mu.Lock()
	if p.file == "" || p.reading || now < p.look {
		p.mu.Unlock()
		return
	}
	p.reading = true
	p.look = now + lookInterval
	seen := p.seen
	p.mu.Unlock()

	info, servers := changed(p.file, seen) // a slow file system keeps nobody else waiting

	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if len(servers) > 0 {
		p.seen = info
		p.set(servers)
	}
}

// changed returns the servers of file if it is not the one that was seen, else none.
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
