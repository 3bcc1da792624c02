package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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

func newRedis(t T) *Redis {
	r := &Redis{Addr: fmt.Sprintf("127.0.0.1:%d", FreePort()), t: t, dir: workDir(t, "redis")}
	t.Cleanup(func() { _ = r.Client.Close(); r.Stop() })
	return r
}

// options are settings as a command line has them.
func options(settings []string) (args []string) {
	for i := 0; i < len(settings); i += 2 {
		args = append(args, "--"+settings[i], settings[i+1])
	}
	return args
}

// StartRedis starts a redis-server with these settings: "maxmemory", "1mb", each as a name and a value.
func StartRedis(t T, settings ...string) *Redis {
	t.Helper()
	r := newRedis(t)
	_, port, _ := net.SplitHostPort(r.Addr)
	r.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", r.dir}, options(settings)...)
	r.Client = redis.NewClient(&redis.Options{Addr: r.Addr, Protocol: 2, DisableIdentity: true})
	r.Start()
	return r
}

// SecureRedis starts a redis-server that speaks TLS only, and returns a file with its certificate.
func SecureRedis(t T, settings ...string) (r *Redis, ca string) {
	t.Helper()
	ca = certificate(t)
	_ = os.Chmod(filepath.Dir(ca), 0o755)
	_ = os.Chmod(ca, 0o644)
	r = newRedis(t)
	_, port, _ := net.SplitHostPort(r.Addr)
	r.args = append([]string{
		"--port", "0", "--tls-port", port, "--tls-cert-file", ca, "--tls-key-file", ca, "--tls-auth-clients", "no",
		"--bind", "127.0.0.1", "--save", "", "--dir", r.dir,
	}, options(settings)...)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(ca)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatalf("redis-server: %v", err)
	}
	r.Client = redis.NewClient(&redis.Options{
		Addr: r.Addr, Protocol: 2, DisableIdentity: true, TLSConfig: &tls.Config{RootCAs: pool},
	})
	r.Start()
	return r, ca
}

// Cluster starts three redis-servers that share the keys, and returns their addresses.
func Cluster(t T) (addrs []string) {
	t.Helper()
	var nodes []*Redis
	for range 3 {
		nodes = append(nodes, StartRedis(t, "cluster-enabled", "yes"))
	}
	const slots = 16384
	for i, n := range nodes {
		addrs = append(addrs, n.Addr)
		if _, err := n.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/3, (i+1)*slots/3-1); err != nil {
			t.Fatalf("redis-server: %v", err)
		}
		host, port, _ := net.SplitHostPort(nodes[0].Addr)
		if _, err := n.Do("CLUSTER", "MEET", host, port); err != nil {
			t.Fatalf("redis-server: %v", err)
		}
	}
	for _, n := range nodes {
		err := within(func() error {
			info, err := n.Do("CLUSTER", "INFO")
			if err == nil && (!strings.Contains(fmt.Sprint(info), "cluster_state:ok") || !strings.Contains(fmt.Sprint(info), "cluster_known_nodes:3")) {
				err = fmt.Errorf("%v", info)
			}
			return err
		})
		if err != nil {
			t.Fatalf("redis-server: the cluster does not come up: %v", err)
		}
	}
	return addrs
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

// Pid returns its process id, another one after each Start.
func (r *Redis) Pid() int { return r.proc.cmd.Process.Pid }

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
