package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The page for senders who were refused is served with its own key, which is made when it is missing, and moves with a
// reload. A key that cannot be read changes nothing.
func TestHelpListen(t *testing.T) {
	dir := t.TempDir()
	file, socket, key := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "help"), filepath.Join(dir, "help.key")
	configure := func(listen, key string) {
		text := fmt.Sprintf("listen = [\"unix:%s/sock\"]\n[help]\nurl = \"https://helo.example.net/r/{id}\"\nlisten = %q\n"+
			"key_file = %q\n", dir, listen, key)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("unix:"+socket, key)
	if code := run(t.Context(), []string{"config", "--config", file}, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != exitDone {
		t.Errorf("config exits with %d", code)
	}
	if _, err := os.Stat(key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("config made a key: %v", err)
	}
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")
	made, err := os.ReadFile(key)
	if err != nil {
		t.Error(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	for n, step := range []struct{ listen, key, logged, network, address, want string }{
		{"unix:" + socket, key, "msg=reloaded", "unix", socket, "Disallow"},
		{"unix:" + socket, broken, "help.key_file: " + broken + ":1: not a key", "unix", socket, "Disallow"},
		{"127.0.0.1:" + port, key, "msg=reloaded", "tcp", "127.0.0.1:" + port, "Disallow"},
		{"", "", "msg=reloaded", "tcp", "127.0.0.1:" + port, "error"},
		{"unix:" + socket, "", "msg=reloaded", "unix", socket, "Disallow"},
	} {
		before := strings.Count(stderr.String(), step.logged)
		configure(step.listen, step.key)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		stderr.waitTimes(t, step.logged, before+1)
		if got := get(step.network, step.address, "/robots.txt"); !strings.Contains(got, step.want) {
			t.Errorf("step %d: %s, want %s\n%s", n, got, step.want, stderr.String())
		}
	}
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
	if again, err := os.ReadFile(key); err != nil || !bytes.Equal(again, made) {
		t.Errorf("the key has changed: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}
