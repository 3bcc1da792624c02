package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server that ends with the test.
type Redis struct {
	Addr   string // 127.0.0.1:PORT
	Client *redis.Client
	t      T
	dir    string
	args   []string
	proc   *process
}

// StartRedis starts a redis-server with these settings: "maxmemory", "1mb", each as a name and a value.
func StartRedis(t T, settings ...string) *Redis {
	t.Helper()
	r := &Redis{Addr: fmt.Sprintf("127.0.0.1:%d", FreePort()), t: t, dir: workDir(t, "redis")}
	_, port, _ := net.SplitHostPort(r.Addr)
	r.args = []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", r.dir}
	for i := 0; i < len(settings); i += 2 {
		r.args = append(r.args, "--"+settings[i], settings[i+1])
	}
	r.Client = redis.NewClient(&redis.Options{Addr: r.Addr, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = r.Client.Close(); r.Stop() })
	r.Start()
	return r
}

// Start starts it again after Stop, without what it had.
func (r *Redis) Start() {
	r.t.Helper()
	var err error
	if r.proc, err = start(r.dir, "/usr/bin/redis-server", r.args...); err != nil {
		r.t.Fatalf("redis-server: %v", err)
	}
	err = within(func() error {
		if err := r.proc.running(); err != nil {
			return err
		}
		conn, err := net.Dial("tcp", r.Addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		r.t.Fatalf("redis-server: %v\n%s", err, r.proc.output())
	}
}

// Stop ends it; connections to it are refused then.
func (r *Redis) Stop() {
	if r.proc != nil {
		r.Resume()
		_ = r.proc.stop()
		r.proc = nil
	}
}

// Pause stops the process where it is: it answers nothing, and its connections stay.
func (r *Redis) Pause() { _ = r.proc.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (r *Redis) Resume() { _ = r.proc.cmd.Process.Signal(syscall.SIGCONT) }

// Do is a command, such as "FLUSHALL".
func (r *Redis) Do(args ...any) (any, error) {
	return r.Client.Do(context.Background(), args...).Result()
}

// PasswordFile makes a file with a password, for fleet.password_file.
func PasswordFile(t T, password string) string {
	t.Helper()
	file := filepath.Join(workDir(t, "password"), "redis")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
	return file
}
