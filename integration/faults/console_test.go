package faults

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// Administrators besiege the console: a hundred tabs that are left open and read nothing, requests that come a byte at a
// time, an export that nobody reads, a search and a what-if, while the decision log is a pipe without a reader, and a
// file that logrotate has made of it is on a disk that hangs. No mail waits or bypasses the milter, and /metrics answers.
func TestConsoleBesideMail(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "decisions.jsonl")
	l := newLoadTest(t, "unix", "")
	configure := func(console bool) {
		l.milter.Configure(t, l.milter.AtSocket(fmt.Sprintf("%sdecision_log = %q\n[http]\nlisten = %q\nconsole = %v\n",
			strict, log, l.http, console)))
		l.milter.Start(t)
	}
	configure(false)
	l.transactionsUntil(func() bool { return len(validRecords(t, completeLines(t, log))) >= 100 })
	without := l.times(200)
	l.milter.Stop(t)
	release := hangingDisk(t, log)
	configure(true)
	s := l.stream(accept)
	s.wait(3)
	tabs := l.openTabs(100)
	if got := tabs["200"]; got != 50 || tabs["503"] != 50 {
		t.Errorf("of 100 tabs, 50 get a place, not %v", tabs)
	}
	l.openConsole("export?format=jsonl")
	for range 20 {
		go send(l.dialHTTP(), consoleRequest("clients")+"X: "+strings.Repeat("x", 10_000), 100*time.Millisecond)
	}
	var answered atomic.Bool
	var asking sync.WaitGroup
	asking.Go(func() {
		answer, err := http.Get("http://" + l.http + "/console/clients?helo=mail")
		if answered.Store(true); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("search: %v, %+v", err, answer)
			return
		}
		_ = answer.Body.Close()
	})
	trial, err := http.PostForm("http://"+l.http+"/console/whatif", url.Values{"profile": {"careful"}})
	if err != nil || trial.StatusCode != http.StatusOK { // of the page that it leads to
		t.Fatalf("what if: %v, %+v", err, trial)
	}
	_ = trial.Body.Close()
	with := l.times(200)
	s.wait(20)
	for _, page := range []string{"/metrics", "/console/", "/console/rules"} {
		begin := time.Now()
		answer, err := http.Get("http://" + l.http + page)
		if took := time.Since(begin); err != nil || answer.StatusCode != http.StatusOK || took > 10*time.Second {
			t.Errorf("%s: %v, %+v, after %v", page, err, answer, took)
			continue
		}
		_ = answer.Body.Close()
	}
	if answered.Load() {
		t.Error("the search was answered: the disk does not hang")
	}
	release()
	asking.Wait()
	http.DefaultClient.CloseIdleConnections()
	p99 := func(times []time.Duration) time.Duration { return times[len(times)*99/100] }
	t.Logf("a session takes %v without and %v with the siege; p99 %v and %v", without[len(without)/2], with[len(with)/2],
		p99(without), p99(with))
	if messages, passed := s.end(); passed != messages || max(s.slowest, slices.Max(with)) > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v, a session %v", messages-passed, s.slowest,
			slices.Max(with))
	}
}

// times plays sessions with a message each, four at a time, and returns their times, sorted.
func (l *loadTest) times(n int) (all []time.Duration) {
	l.Helper()
	var mu sync.Mutex
	var playing sync.WaitGroup
	for range 4 {
		playing.Go(func() {
			for range n / 4 {
				begin := time.Now()
				err := l.milter.Session("203.0.113.10", "mail.example.org")
				took := time.Since(begin)
				if err != nil {
					l.Errorf("a session: %v", err)
				}
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
			}
		})
	}
	playing.Wait()
	slices.Sort(all)
	return all
}

// hangingDisk makes a pipe without a reader of a log, and what logrotate would have made of the log before: two files,
// the older one of which no process can open until release is called. It has a lease, which is broken after 45 s
// (fcntl(2), F_SETLEASE; proc(5), lease-break-time).
func hangingDisk(t *testing.T, log string) (release func()) {
	t.Helper()
	text, err := os.ReadFile(log)
	err = errors.Join(err, os.WriteFile(log+".2", text, 0o600))
	yesterday := time.Now().AddDate(0, 0, -1)
	err = errors.Join(err, os.Chtimes(log+".2", yesterday, yesterday), os.Rename(log, log+".1"),
		syscall.Mkfifo(log, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	older, err := os.OpenFile(log+".2", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const setLease = 1024 // F_SETLEASE
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, older.Fd(), setLease, syscall.F_WRLCK); errno != 0 {
		t.Fatalf("a lease: %v", errno)
	}
	release = sync.OnceFunc(func() { _ = older.Close() })
	t.Cleanup(release)
	return release
}

func consoleRequest(path string) string {
	return "GET /console/" + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
}

// dialHTTP connects to the daemon's HTTP server, until the end of the test.
func (l *loadTest) dialHTTP() net.Conn {
	l.Helper()
	conn, err := net.Dial("tcp", l.http)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(rig.WaitTimeout))
	return conn
}

// openConsole asks for a page, and reads no more than the status.
func (l *loadTest) openConsole(path string) (status string) {
	l.Helper()
	conn := l.dialHTTP()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	send(conn, consoleRequest(path)+"\r\n", 0)
	line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	if err != nil {
		l.Fatal(err)
	}
	return strings.Fields(line)[1]
}

// openTabs leaves pages open that show what changes, and returns how many have got which status.
func (l *loadTest) openTabs(n int) map[string]int {
	l.Helper()
	status := map[string]int{}
	for i := range n {
		status[l.openConsole([]string{"events", "live/rules"}[i%2])]++
	}
	return status
}
