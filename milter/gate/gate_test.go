package gate

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a door whose connections keep their place once they have sent a byte, which it sends back after its name.
type door struct {
	*Gate
	name string
}

type conn struct{ Conn }

func (c *conn) Drain() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

func (d door) Enter(nc net.Conn) {
	c := &conn{d.Conn(nc)}
	if !d.Admit(&c.Conn, c) {
		return
	}
	go func() {
		defer c.Close()
		b := make([]byte, 1)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			c.Keep()
			_, _ = io.WriteString(c, d.name+string(b))
		}
	}()
}

func (d door) Speak(nc net.Conn) error {
	if got := say(nc); got != d.name+"x" {
		return errors.New("said " + got)
	}
	return nil
}

// say sends a byte, and returns what comes back: "" where the connection is closed.
func say(nc net.Conn) string {
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(nc, "x")
	b := make([]byte, 2)
	n, _ := io.ReadFull(nc, b)
	return string(b[:n])
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func dial(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// Two doors share the places, the limits for peers, and the end. A listener may change its door, and keeps the
// connections that came before.
func TestDoors(t *testing.T) {
	var mu sync.Mutex
	var kinds []string
	limits := Limits{Connections: 2, OnViolation: func(_ net.Addr, kind string) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, kind)
	}}
	g := New(limits)
	a, b := door{g, "a"}, door{g, "b"}
	one, two := listen(t), listen(t)
	g.Add(one, a)
	g.Add(two, b)
	first, second := dial(t, one), dial(t, two)
	if got := say(first) + say(second); got != "axbx" {
		t.Fatalf("said %s", got)
	}
	third := dial(t, two)
	if got := say(third); got != "" || g.Connections() != 2 {
		t.Errorf("said %s with all places taken", got)
	}
	if err := g.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	second.Close()
	for g.Connections() > 1 {
		time.Sleep(time.Millisecond)
	}
	g.Add(one, b)
	if got := say(dial(t, one)) + say(first); got != "bxax" {
		t.Errorf("said %s", got)
	}
	limits.Peers = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	g.SetLimits(limits)
	if got := say(dial(t, two)); got != "" {
		t.Errorf("said %s to who is no peer", got)
	}
	g.Drain()
	if n, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d, %v after the end", n, err)
	}
	if err := errors.Join(g.Remove(two), g.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if nc, err := net.Dial("tcp", one.Addr().String()); err == nil {
		nc.Close()
		t.Error("it listens after the end")
	}
	for g.Connections() > 0 {
		time.Sleep(time.Millisecond)
	}
	told := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(kinds, " ")
	}
	for end := time.Now().Add(time.Minute); told() != "full peer" && time.Now().Before(end); { // after each Close
		time.Sleep(time.Millisecond)
	}
	if told() != "full peer" || len(g.probes) > 0 {
		t.Errorf("told of %s, probes %v", told(), g.probes)
	}
}
