package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
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
