package fleet

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"helo-milter/cmd/helo-milter/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// redisServer is a redis-server of a test, on a unix socket.
type redisServer struct {
	t      *testing.T
	socket string
	cmd    *exec.Cmd
}

func startRedis(t *testing.T, settings ...string) *redisServer {
	t.Helper()
	r := &redisServer{t: t, socket: filepath.Join(t.TempDir(), "redis")}
	args := append([]string{"--port", "0", "--unixsocket", r.socket, "--save", "", "--dir", t.TempDir()}, settings...)
	r.cmd = exec.Command("redis-server", args...)
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("install redis-server: %v", err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(r.socket); err == nil {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not listen")
		}
	}
}

// connect is a host of the fleet.
func (r *redisServer) connect(host string) *Server {
	r.t.Helper()
	cfg, err := config.Parse("test", []byte("[fleet]\nredis = [\"unix:"+r.socket+"\"]\nhost = \""+host+"\"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := Connect(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (r *redisServer) pause()  { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }
func (r *redisServer) resume() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }
