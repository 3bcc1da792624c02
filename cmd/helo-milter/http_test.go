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
	get := func(network, address string) string {
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			DisableKeepAlives: true,
		}}
		resp, err := client.Get("http://mx.example.net/healthz")
		if err != nil {
			return "error"
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return strings.TrimSpace(string(text))
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
		if got := get(step.network, step.address); got != step.want {
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
