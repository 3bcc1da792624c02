package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The HTTP server listens on a unix socket of socket_mode, which comes back with a reload, or over TCP for
// those that http.allow has.
func TestHTTPListen(t *testing.T) {
	dir := t.TempDir()
	file, socket, port := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "http"), freePort(t)
	configure := func(listen, allow string) {
		text := fmt.Sprintf("listen = [\"unix:%s/sock\"]\nsocket_mode = \"0600\"\n[http]\nlisten = %q\nallow = [%s]\n",
			dir, listen, allow)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("unix:"+socket, "")
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v (%v)", info, err)
	}
	os.Remove(socket)
	for n, step := range []struct{ listen, allow, network, address, want string }{
		{"unix:" + socket, "", "unix", socket, "ok"}, // the file was removed
		{"unix:" + socket, `"192.0.2.0/24"`, "unix", socket, "ok"},
		{":" + port, `"192.0.2.0/24"`, "tcp", "127.0.0.1:" + port, "error"},
		{":" + port, `"192.0.2.0/24", "127.0.0.0/8"`, "tcp", "127.0.0.1:" + port, "ok"},
		{":" + port, `"192.0.2.0/24"`, "tcp", "127.0.0.1:" + port, "error"}, // with the listener that is there
		{"", "", "tcp", "127.0.0.1:" + port, "error"},
		{"unix:" + socket, "", "unix", socket, "ok"},
	} {
		configure(step.listen, step.allow)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		stderr.waitTimes(t, "msg=reloaded", n+1)
		if got := get(step.network, step.address, "/healthz"); got != step.want {
			t.Errorf("%s for %s: %s, want %s\n%s", step.listen, step.allow, got, step.want, stderr.String())
		}
		healthy := run(t.Context(), []string{"health", "--config", file}, nil, io.Discard, io.Discard) == exitDone
		if healthy != (step.want == "ok") {
			t.Errorf("%s for %s: healthy is %v", step.listen, step.allow, healthy)
		}
	}
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if n := strings.Count(stderr.String(), "a host that http.allow does not have"); n != 1 {
		t.Errorf("it was logged %d times that a host was turned away", n)
	}
}

// get returns what an HTTP server says, without the blanks around it, or "error".
func get(network, address, path string) string {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		DisableKeepAlives: true,
	}}
	resp, err := client.Get("http://mx.example.net" + path)
	if err != nil {
		return "error"
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(text))
}

// There are profiles while http.pprof is on.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "http")
	configure := func(on bool) {
		text := fmt.Sprintf("listen = [\"unix:%s/sock\"]\n[http]\nlisten = \"unix:%s\"\npprof = %v\n", dir, socket, on)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure(true)
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")
	zipped := "\x1f\x8b"
	for _, tt := range []struct{ path, starts string }{
		{"/debug/pprof/profile?seconds=1", zipped},
		{"/debug/pprof/heap", zipped},
		{"/debug/pprof/goroutine?debug=1", "goroutine profile: total"},
		{"/debug/pprof/", "<html>"},
	} {
		if got := get("unix", socket, tt.path); !strings.HasPrefix(got, tt.starts) {
			t.Errorf("%s: %.60q", tt.path, got)
		}
	}
	configure(false)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	stderr.waitFor(t, "msg=reloaded")
	if got := get("unix", socket, "/debug/pprof/heap"); got != "off: set http.pprof = true" {
		t.Errorf("after it was switched off: %.60q", got)
	}
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
}

// The console comes and goes with http.console, and a wrong password file changes nothing.
func TestConsoleSwitched(t *testing.T) {
	dir := t.TempDir()
	file, socket, token := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "http"), filepath.Join(dir, "token")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure := func(more string) {
		write(file, fmt.Sprintf("listen = [\"unix:%s/sock\"]\n[http]\nlisten = \"unix:%s\"\n%s", dir, socket, more))
	}
	configure("console = true\n")
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")
	const page, off, asks = "<!DOCTYPE html>", "off: set http.console = true", "The password of the console"
	shows := func(what string) {
		t.Helper()
		if got := get("unix", socket, "/console/days"); !strings.HasPrefix(got, what) {
			t.Errorf("%.100q, want %q", got, what)
		}
	}
	shows(page)
	if got := get("unix", socket, "/"); !strings.HasPrefix(got, page) {
		t.Errorf("/ leads to %.100q", got)
	}
	reload := func(message string) {
		t.Helper()
		n := strings.Count(stderr.String(), message)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		stderr.waitTimes(t, message, n+1)
	}
	configure("console = true\ntoken_file = \"" + token + "\"\n")
	reload("msg=\"reload failed") // there is none
	shows(page)
	write(token, "an-example-of-24-letters\n")
	reload("msg=reloaded")
	shows(asks)
	configure("")
	reload("msg=reloaded")
	shows(off)
	configure("console = true\n")
	reload("msg=reloaded")
	shows(page)
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
}
