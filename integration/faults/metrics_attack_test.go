package faults

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// hostileRequests are what strangers send to /metrics: how, and how many do it.
var hostileRequests = []struct {
	says string
	pace time.Duration // between bytes; 0 is all at once
}{
	{"", 0}, // silent
	{scrape + "X: " + strings.Repeat("x", 1000), 100 * time.Millisecond}, // slowloris
	{scrape + strings.Repeat("X: y\r\n", 100_000), 0},
	{"GET /" + strings.Repeat("x", 1<<20), 0},
	{strings.Repeat(scrape+"\r\n", 1000), 0}, // without reading the answers
	{strings.Replace(scrape, "GET", "POST", 1) + "Content-Length: 99999999999\r\n\r\n", 0},
	{scrape + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 0},
	{strings.Repeat("\x00\xff", 100_000), 0},
}

const scrape = "GET /metrics HTTP/1.1\r\nHost: mx.example.net\r\n"

// Strangers besiege /metrics. The daemon gives them 20 connections, each for some seconds, and no mail waits
// or bypasses it. Afterwards /metrics answers as before.
func TestMetricsUnderAttack(t *testing.T) {
	t.Parallel()
	const each = 10
	l := startLoadTest(t, "unix", "")
	s := l.stream(accept)
	s.wait(3)
	before := l.files()
	var all []net.Conn
	for range each {
		for _, attack := range hostileRequests {
			conn, err := net.Dial("tcp", l.http)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, conn)
			go send(conn, attack.says, attack.pace)
		}
	}
	most := 0
	for range 5 {
		s.wait(10)
		most = max(most, l.files()-before)
	}
	const others = 10 // of the sessions meanwhile
	if t.Logf("%d strangers took %d files", len(all), most); most > 20+others {
		t.Errorf("%d strangers took %d files of the daemon", len(all), most)
	}
	for _, conn := range all {
		_ = conn.Close()
	}
	if passed := l.metric(`helo_milter_decisions_total{did="accept",want="accept"}`); passed < 50 {
		t.Errorf("/metrics has %v decisions", passed)
	}
	if most := l.milter.Memory(t, "VmHWM"); most > 400 { // the race detector's share is large
		t.Errorf("it used %.0f MiB", most)
	}
	if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
	}
}

// send sends bytes at a pace, until the peer or the test hangs up.
func send(conn net.Conn, says string, pace time.Duration) {
	if pace == 0 {
		_, _ = io.WriteString(conn, says)
		return
	}
	for i := range len(says) {
		if _, err := io.WriteString(conn, says[i:i+1]); err != nil {
			return
		}
		time.Sleep(pace)
	}
}

// files counts the daemon's open files.
func (l *loadTest) files() int {
	l.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.milter.Pid()))
	if err != nil {
		l.Fatal(err)
	}
	return len(list)
}

// A stranger who takes all connections of /metrics and says little keeps them for 10 s, not for ever.
func TestMetricsSlowReaders(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "")
	var all []net.Conn
	for n := range 20 {
		conn, err := net.Dial("tcp", l.http)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		attack := hostileRequests[n%2]
		go send(conn, attack.says, attack.pace)
		all = append(all, conn)
	}
	begin := time.Now()
	l.metric("helo_milter_dns_degraded")
	if took := time.Since(begin); took < 5*time.Second || took > 4*10*time.Second {
		t.Errorf("/metrics answered after %v", took)
	}
	for _, conn := range all {
		_ = conn.SetReadDeadline(time.Now().Add(rig.StopTimeout))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a slow stranger keeps its connection")
		}
	}
}
