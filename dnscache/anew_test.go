package dnscache

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Who asks anew gets what the servers say now, or a failure: never what was said before. The others have it from then on.
func TestAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &switchable{t: t}
		r, err := New(Config{Servers: []string{"192.0.2.53:53"}, Exchange: server.exchange, InFlight: 8})
		if err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddr("203.0.113.9")
		for _, tt := range []struct {
			word string
			anew bool
			want string
		}{
			{"good", false, "192.0.2.1"},
			{"moved", false, "192.0.2.1"},
			{"moved", true, "192.0.2.2"},
			{"good", false, "192.0.2.2"},
			{"servfail", true, "failed"},
			{"silent", true, "failed"},
			{"servfail", false, "192.0.2.2"},
			{"nxdomain", true, "none"},
			{"good", false, "none"},
			{"good", true, "192.0.2.1"},
		} {
			server.word.Store(tt.word)
			asking := r.For(client, nil)
			if tt.anew {
				asking = r.Anew(client, nil)
			}
			addrs, err := asking.LookupNetIP(t.Context(), "ip4", "mail.example.org")
			got := "failed"
			switch failure := (*net.DNSError)(nil); {
			case err == nil:
				got = addrs[0].String()
			case errors.As(err, &failure) && failure.IsNotFound:
				got = "none"
			}
			if got != tt.want {
				t.Errorf("the server is %s, anew: %t: %s (%v), want %s", tt.word, tt.anew, got, err, tt.want)
			}
		}
		time.Sleep(time.Minute)

		// Half of the places are mail's.
		server.word.Store("silent")
		for _, name := range []string{"a.example", "b.example.net", "c.example.org", "d.example.com"} {
			go func() { _, _ = r.LookupNetIP(t.Context(), "ip4", name) }()
		}
		synctest.Wait()
		began := time.Now()
		if _, err := r.Anew(client, nil).LookupNetIP(t.Context(), "ip4", "e.example"); err == nil || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}
