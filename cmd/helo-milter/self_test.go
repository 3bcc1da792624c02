package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The daemon watches the addresses of its configuration, and after a reload those of the new one.
func TestSelfWatched(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "http")
	configure := func(addresses string) {
		writeFile(t, file, fmt.Sprintf("listen = [\"unix:%s/sock\"]\n[http]\nlisten = \"unix:%s\"\n[dns]\nservers = [\"127.0.0.1:1\"]\n"+
			"[selftest]\naddresses = [%s]\n", dir, socket, addresses))
	}
	configure(`"203.0.113.10", "2001:db8::10"`)
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")
	watched := func() (list []string) {
		for line := range strings.Lines(get("unix", socket, "/metrics")) {
			if rest, ok := strings.CutPrefix(line, `helo_milter_self_known_timestamp_seconds{address="`); ok {
				address, _, _ := strings.Cut(rest, `"`)
				list = append(list, address)
			}
		}
		return list
	}
	if got := fmt.Sprint(watched()); got != "[2001:db8::10 203.0.113.10]" {
		t.Errorf("it watches %s", got)
	}
	configure(`"203.0.113.11"`)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	stderr.waitFor(t, "msg=reloaded")
	if got := fmt.Sprint(watched()); got != "[203.0.113.11]" {
		t.Errorf("after the reload it watches %s", got)
	}
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
}
