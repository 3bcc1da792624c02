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
		{"127.0.0.1", `"127.0.0.1" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{"2001:db8::1", `"2001:db8::1" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{":53", `":53" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{"127.0.0.1:dns", `"127.0.0.1:dns": the port is not a number from 1 to 65535`},
		{"127.0.0.1:0", `"127.0.0.1:0": the port is not a number from 1 to 65535`},
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

func TestNegativeNumbers(t *testing.T) {
	for _, cfg := range []Config{{Entries: -1}, {InFlight: -1}} {
		cfg.Servers = []string{"127.0.0.1:53"}
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v: want an error", cfg)
		}
	}
}
