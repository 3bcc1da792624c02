package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sock")
	try := func() (net.Listener, error) { return listenUnix(path, access{0o600, -1}) }

	first, err := try()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := try(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a live socket is taken: %v", err)
	}
	first.(*unixSocket).UnixListener.Close() // as if killed
	second, err := try()
	if err != nil {
		t.Fatalf("what a killed daemon left is in the way: %v", err)
	}
	os.Remove(path)
	third, err := try() // somebody removed the file and started another daemon
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the other daemon's socket is removed: %v", err)
	}
	third.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its own socket is left behind: %v", err)
	}
	if err := os.WriteFile(path, []byte("mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := try(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file is taken for a socket: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "mail" {
		t.Errorf("the file is gone: %q, %v", text, err)
	}
}

// Of two daemons that start at the same moment on what a killed one left, one serves, and its socket stays.
func TestListenAtTheSameMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	for round := range 100 {
		left, err := listenUnix(path, access{0o600, -1})
		if err != nil {
			t.Fatal(err)
		}
		left.(*unixSocket).UnixListener.Close() // as if killed
		var listeners [2]net.Listener
		var errs [2]error
		var starting sync.WaitGroup
		for i := range listeners {
			starting.Go(func() { listeners[i], errs[i] = listenUnix(path, access{0o600, -1}) })
		}
		starting.Wait()
		serving := 0
		for i, ln := range listeners {
			switch {
			case ln == nil && !strings.Contains(errs[i].Error(), "in use"):
				t.Errorf("round %d: %v", round, errs[i])
			case ln != nil && isGone(ln):
				t.Errorf("round %d: the socket of a daemon that serves is gone", round)
			}
			if ln != nil {
				serving++
				ln.Close()
			}
		}
		if serving != 1 {
			t.Fatalf("round %d: %d daemons serve", round, serving)
		}
	}
}
