package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// Strangers besiege the page for senders who were refused: 10,000 requests, for links that are forged and for tests of
// one, and 300 connections that send a byte at a time. No mail waits or bypasses the milter, the daemon keeps its files,
// and afterwards the page answers.
func TestHelpUnderAttack(t *testing.T) {
	t.Parallel()
	help := fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	l := startLoadTest(t, "unix", fmt.Sprintf("[help]\nlisten = %q\nurl = 'http://%s/r/{id}'\n", help, help))
	s := l.stream(accept)
	s.wait(3)
	before := l.files()
	var slow []net.Conn
	for range 300 {
		conn, err := net.Dial("tcp", help)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
		go send(conn, strings.Replace(scrape, "/metrics", "/r/x", 1)+"X: "+strings.Repeat("x", 10_000), 100*time.Millisecond)
	}
	s.wait(10)
	most := l.files() - before
	for _, conn := range slow {
		_ = conn.Close()
	}
	const others = 10 // of the sessions meanwhile
	if t.Logf("%d strangers took %d files", len(slow), most); most > 200+others {
		t.Errorf("%d strangers took %d files of the daemon", len(slow), most)
	}
	rig.Eventually(t, func() error { // some of the slow ones wait to be accepted before these
		answer, err := http.Get("http://" + help + "/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}, Timeout: time.Minute}
	var running sync.WaitGroup
	failed := make(chan error, 20)
	for n := range 20 {
		running.Go(func() {
			for i := range 500 {
				link := fmt.Sprintf("http://%s/r/%0160d", help, n*500+i)
				request := func() (*http.Response, error) { return client.Get(link) }
				if i%2 == 0 {
					request = func() (*http.Response, error) { return client.Post(link+"/test", "", nil) }
				}
				answer, err := request()
				if err == nil {
					_, err = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
				if err != nil || answer.StatusCode != http.StatusNotFound {
					failed <- fmt.Errorf("%v, %+v", err, answer)
					return
				}
			}
		})
	}
	running.Wait()
	client.CloseIdleConnections()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if gone := l.metric(`helo_milter_help_requests_total{what="gone"}`); gone < 10_000 {
		t.Errorf("%v requests were answered", gone)
	}
	if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
	}
}
