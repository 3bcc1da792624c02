package dnscache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServers(t *testing.T) {
	for _, test := range []struct{ servers, want string }{
		{"127.0.0.1:53", "127.0.0.1:53"},
		{"127.0.0.1:53 [2001:db8::1]:53 127.0.0.1:53", "127.0.0.1:53 [2001:db8::1]:53"}, // each once
		{"[fe80::1%eth0]:53", "[fe80::1%eth0]:53"},
		{"unbound:53", "unbound:53"},
		{"127.0.0.1", `DNS server "127.0.0.1": want HOST:PORT, or [IPv6]:PORT`},
		{"2001:db8::1", `DNS server "2001:db8::1": want HOST:PORT, or [IPv6]:PORT`},
		{":53", `DNS server ":53": no host`},
		{"127.0.0.1:dns", `DNS server "127.0.0.1:dns": port is not a number from 1 to 65535`},
		{"127.0.0.1:0", `DNS server "127.0.0.1:0": port is not a number from 1 to 65535`},
	} {
		r, err := New(Config{Servers: strings.Fields(test.servers)})
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join(r.Servers(), " ")
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.servers, got, test.want)
		}
	}
}

func TestSystemServers(t *testing.T) {
	for _, test := range []struct{ conf, want string }{
		{"nameserver 192.0.2.53\nnameserver 2001:db8::53\n", "192.0.2.53:53 [2001:db8::53]:53"},
		{"search example.org\nnameserver fe80::1%eth0\n", "[fe80::1%eth0]:53"},
		{"search example.org\n", "no DNS server configured, and no nameserver line in "},
	} {
		file := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(file, []byte(test.conf), 0o600); err != nil {
			t.Fatal(err)
		}
		servers, err := systemServers(file)
		got := strings.Join(servers, " ")
		if err != nil {
			got = strings.TrimSuffix(err.Error(), file)
		}
		if got != test.want {
			t.Errorf("%q: got %s, want %s", test.conf, got, test.want)
		}
	}
	if _, err := systemServers(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

func TestNegativeEntries(t *testing.T) {
	if _, err := New(Config{Servers: []string{"127.0.0.1:53"}, Entries: -1}); err == nil {
		t.Error("want an error")
	}
}
