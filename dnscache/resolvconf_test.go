package dnscache

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNameservers(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"nameserver 192.0.2.53", "192.0.2.53:53"},
		{"nameserver\t192.0.2.53\r\n", "192.0.2.53:53"},
		{"nameserver fe80::1%eth0\n", "[fe80::1%eth0]:53"},
		{"nameserver 192.0.2.53 # ours\n", "192.0.2.53:53"},
		{
			"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
			"192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 192.0.2.4:53",
		}, // more than glibc's three
		{"# nameserver 192.0.2.53\n;nameserver 192.0.2.53\n", ""},
		{"nameserver\nnameserver dns.example.org\nnameserver 192.0.2\nnameserver 192.0.2.53:53\n", ""},
		{"nameserver192.0.2.53\nsearch nameserver 192.0.2.53\n", ""},
	} {
		if got := strings.Join(nameservers(test.text), " "); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

// FuzzNameservers checks that a file of any content gives nothing but addresses with port 53.
func FuzzNameservers(f *testing.F) {
	f.Add("nameserver 192.0.2.53\nnameserver fe80::1%eth0\noptions edns0\n")
	f.Add("nameserver ::ffff:192.0.2.53%\x00]")
	f.Fuzz(func(t *testing.T, text string) {
		servers := nameservers(text)
		if n := strings.Count(text, "nameserver"); len(servers) > n {
			t.Errorf("%d servers of %d lines", len(servers), n)
		}
		for _, server := range servers {
			host, port, err := net.SplitHostPort(server)
			if _, bad := netip.ParseAddr(host); err != nil || bad != nil || port != "53" {
				t.Errorf("accepted %q", server)
			}
			if err := CheckServer(server); err != nil {
				t.Error(err)
			}
		}
	})
}

// Each step changes the file and looks up a name after it.
func TestResolvConfChanges(t *testing.T) {
	const first = "nameserver 192.0.2.1\n"
	for _, test := range []struct {
		story  string
		change func(file string) error
		wait   time.Duration
		want   string
	}{
		{"no change", func(string) error { return nil }, time.Second, "192.0.2.1:53"},
		{"another text", write("nameserver 192.0.2.22\n" + first), time.Second, "192.0.2.22:53 192.0.2.1:53"},
		{"not checked yet", write("nameserver 192.0.2.22\n"), time.Second - 1, "192.0.2.1:53"},
		{"the same size", write("nameserver 192.0.2.2\n"), time.Second, "192.0.2.2:53"},
		{"another file of the same time", replace("nameserver 192.0.2.2\n"), time.Second, "192.0.2.2:53"},
		{"longer, of the same time", extend("nameserver 192.0.2.2\n"), time.Second, "192.0.2.1:53 192.0.2.2:53"},
		{"no file", os.Remove, time.Second, "192.0.2.1:53"},
		{"an empty file", write(""), time.Second, "192.0.2.1:53"},
		{"no server", write("search example.org\n"), time.Second, "192.0.2.1:53"},
		{"too long", write(first + strings.Repeat("#", maxConf)), time.Second, "192.0.2.1:53"},
	} {
		t.Run(test.story, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, past, past); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				r := newResolver(t, Config{ResolvConf: file, Exchange: newFleet(t).exchange})
				if err := test.change(file); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.wait)
				resolve(t.Context(), r, "A mx.example.org")
				if got := strings.Join(r.Servers(), " "); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
}

// A file that was bad for a while is used once it is good again, and a server that stays in it keeps its
// health.
func TestResolvConfRecovers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	both := "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
	if err := write(both)(file); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		world := newFleet(t)
		world.set("192.0.2.1", "silent")
		r := newResolver(t, Config{ResolvConf: file, Exchange: world.exchange})
		for i, step := range []struct{ text, want string }{
			{both, "410 192.0.2.1192.0.2.2"},
			{"", "410 192.0.2.1192.0.2.2"},
			{both + "nameserver 192.0.2.3\n", "10 192.0.2.2"},
		} {
			if err := write(step.text)(file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(590 * time.Millisecond)
			if got := askNew(t, r, world, i); got != step.want {
				t.Errorf("step %d: got %s, want %s", i, got, step.want)
			}
		}
	})
}

func TestNoResolvConf(t *testing.T) {
	if _, err := New(Config{ResolvConf: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("want an error")
	}
}

// past is the modification time of files before they change, so that a change has another one for certain.
var past = time.Unix(1e9, 0)

func write(text string) func(string) error {
	return func(file string) error { return os.WriteFile(file, []byte(text), 0o600) }
}

func replace(text string) func(string) error {
	return func(file string) error {
		if err := write(text)(file + ".new"); err != nil {
			return err
		}
		if err := os.Chtimes(file+".new", past, past); err != nil {
			return err
		}
		return os.Rename(file+".new", file)
	}
}

func extend(text string) func(string) error {
	return func(file string) error {
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := write(string(old) + text)(file); err != nil {
			return err
		}
		return os.Chtimes(file, past, past)
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
