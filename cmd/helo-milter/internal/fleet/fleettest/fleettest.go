// Package fleettest starts redis-servers for tests.
package fleettest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Redis is a redis-server that ends with its test, on a unix socket.
type Redis struct {
	Socket string // for fleet.redis: "unix:" and this
	cmd    *exec.Cmd
}

// Start starts one with more settings, such as "--maxmemory", "1mb".
func Start(t *testing.T, settings ...string) *Redis {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	r := &Redis{Socket: filepath.Join(dir, "redis")}
	args := append([]string{"--port", "0", "--unixsocket", r.Socket, "--save", "", "--dir", dir}, settings...)
	r.cmd = exec.Command("redis-server", args...)
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("install redis-server: %v", err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		// The file alone does not do: it is there before the server listens (bind(2), listen(2)).
		if conn, err := net.Dial("unix", r.Socket); err == nil {
			_ = conn.Close()
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not listen")
		}
	}
}

// Do has it execute a command, which must not be refused.
func (r *Redis) Do(t *testing.T, command ...string) {
	t.Helper()
	conn, err := net.DialTimeout("unix", r.Socket, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
	}
	reply := make([]byte, 1)
	if _, err := conn.Read(reply); err != nil || reply[0] == '-' {
		t.Fatalf("%q: %q, %v", command, reply, err)
	}
}

// Pause makes it stand still: it answers nothing. Resume lets it go on.
func (r *Redis) Pause()  { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }
func (r *Redis) Resume() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }
