package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// browser asks for pages of a daemon's console.
type browser struct {
	address string // of its HTTP server
	client  *http.Client
}

func newBrowser(address string) *browser {
	return &browser{address, &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get returns a page, and how long it took up to its last byte.
func (b *browser) get(ctx context.Context, path string) (text string, took time.Duration, err error) {
	begin := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url(path), nil)
	if err != nil {
		return "", 0, err
	}
	answer, err := b.client.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return string(page), time.Since(begin), err
}

func (b *browser) url(path string) string { return "http://" + b.address + "/console/" + path }

// try begins a trial of the strict profile, and returns the address of its page.
func (b *browser) try() (page string, err error) {
	answer, err := b.client.PostForm(b.url("whatif"), url.Values{"profile": {"strict"}, "days": {"30"}})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("what if: %s", answer.Status)
	}
	return answer.Header.Get("Location"), nil
}

// await waits for the end of a trial, and returns its page.
func (b *browser) await(ctx context.Context, page string) (text string, err error) {
	for {
		text, _, err := b.get(ctx, page)
		if err != nil || !strings.Contains(text, `id="share"`) {
			return text, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// cancel cancels a trial.
func (b *browser) cancel(page string) error {
	answer, err := b.client.PostForm(b.url(page+"/cancel"), nil)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// streams are the addresses of streams of events, of which tabs take one after the other.
var streams = []string{"events", "live/rules"}

// tabs are pages that are left open.
type tabs struct {
	address string
	reads   bool // what comes
	stop    chan struct{}
	working sync.WaitGroup

	mu                sync.Mutex
	conns             []net.Conn
	got, refused, cut int // a place, none (503), or an error
}

// openTabs opens tabs, and returns when each has its answer. Those that end are opened again.
func openTabs(address string, n int, reads bool) *tabs {
	t := &tabs{address: address, reads: reads, stop: make(chan struct{})}
	var first sync.WaitGroup
	for i := range n {
		first.Add(1)
		t.working.Go(func() { t.tab(streams[i%len(streams)], sync.OnceFunc(first.Done)) })
	}
	first.Wait()
	return t
}

// tab keeps one open until close.
func (t *tabs) tab(path string, opened func()) {
	for {
		t.open(path, opened)
		opened()
		select {
		case <-t.stop:
			return
		case <-time.After(time.Second):
		}
	}
}

// open opens one, and returns when it ends.
func (t *tabs) open(path string, opened func()) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil {
		t.note(&t.cut)
		return
	}
	defer conn.Close()
	if !t.keep(conn) {
		return
	}
	if !t.reads {
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	fmt.Fprintf(conn, "GET /console/%s HTTP/1.1\r\nHost: %s\r\n\r\n", path, t.address)
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	switch {
	case err != nil:
		t.note(&t.cut)
		return
	case answer.StatusCode != http.StatusOK:
		t.note(&t.refused)
		opened()
		<-t.stop // a browser does not ask again after an error
		return
	}
	t.note(&t.got)
	opened()
	if !t.reads {
		<-t.stop
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
}

func (t *tabs) keep(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.stop:
		return false
	default:
	}
	t.conns = append(t.conns, conn)
	return true
}

func (t *tabs) note(what *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*what++
}

// close closes them all.
func (t *tabs) close() {
	t.mu.Lock()
	close(t.stop)
	for _, conn := range t.conns {
		_ = conn.Close()
	}
	t.mu.Unlock()
	t.working.Wait()
}
