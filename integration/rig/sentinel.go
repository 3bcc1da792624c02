package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sentinels are a redis-server, its replica, and three Sentinels that make the one a server when the other is gone.
type Sentinels struct {
	Addrs           []string // of the Sentinels
	Server, Replica *Redis
}

// SentinelName is what the Sentinels call the server.
const SentinelName = "mail"

// StartSentinels starts them.
func StartSentinels(t T) *Sentinels {
	t.Helper()
	s := &Sentinels{Server: StartRedis(t)}
	s.Replica = StartRedis(t, "replicaof", strings.Replace(s.Server.Addr, ":", " ", 1))
	for range 3 {
		s.Addrs = append(s.Addrs, startSentinel(t, s.Server.Addr))
	}
	err := within(func() error {
		info, err := s.Server.Do("INFO", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(info), "state=online") {
			err = fmt.Errorf("the replica has not begun: %v", info)
		}
		return err
	})
	if err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	return s
}

// startSentinel starts one that knows a server to be gone after a second.
func startSentinel(t T, server string) (addr string) {
	t.Helper()
	dir := workDir(t, "sentinel")
	port := FreePort()
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s 2\n"+
		"sentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 3000\n",
		port, dir, SentinelName, strings.Replace(server, ":", " ", 1))
	file := filepath.Join(dir, "sentinel.conf") // which it writes to
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatalf("sentinel: %v", err)
	}
	p, err := start(dir, "/usr/bin/redis-server", file, "--sentinel")
	if err != nil {
		t.Fatalf("sentinel: %v", err)
	}
	t.Cleanup(func() { _ = p.stop() })
	return fmt.Sprintf("127.0.0.1:%d", port)
}
