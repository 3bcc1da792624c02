package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Milter is a running `helo-milter serve`.
type Milter struct {
	Socket string // unix:PATH or inet:HOST:PORT, as smtpd_milters has it
	proc   *process
}

// ports counts the ports that were given to milters.
var ports atomic.Uint32

// StartMilter starts the milter on a unix socket or on TCP ("unix", "inet") with the given TOML, top-level
// keys first. Its end is part of the test: it must obey SIGTERM, and its log must have neither race nor
// panic.
func StartMilter(t T, network, config string) *Milter {
	t.Helper()
	dir := workDir(t, "milter")
	dial, address := "unix", filepath.Join(dir, "socket")
	if network == "inet" {
		// Below the ports that the kernel gives to clients.
		dial, address = "tcp", fmt.Sprintf("127.0.0.1:%d", 10000+ports.Add(1)%20000)
	}
	m := &Milter{Socket: network + ":" + address}
	file := filepath.Join(dir, "helo-milter.toml")
	config = fmt.Sprintf("listen = [%q]\nsocket_mode = \"0666\"\n%s", m.Socket, config)
	err := os.WriteFile(file, []byte(config), 0o644)
	if err == nil {
		m.proc, err = start(dir, os.Getenv(milterVar), "serve", "--config", file)
	}
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
	t.Cleanup(func() { m.stop(t) })
	err = within(startTime, func() error {
		if err := m.proc.running(); err != nil {
			return err
		}
		conn, err := net.Dial(dial, address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("milter: %v\n%s\n%s", err, config, m.Log())
	}
	return m
}

// Log is what the milter wrote so far.
func (m *Milter) Log() string { return m.proc.output() }

func (m *Milter) stop(t T) {
	t.Helper()
	err := m.proc.stop()
	log := m.Log()
	if err != nil || strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		t.Errorf("milter: %v\n%s", err, log)
	}
}

// Send connects to the milter, sends bytes and waits for it to hang up.
func (m *Milter) Send(t T, bytes string) {
	t.Helper()
	network, address, _ := strings.Cut(m.Socket, ":")
	conn, err := net.Dial(map[string]string{"unix": "unix", "inet": "tcp"}[network], address)
	if err != nil {
		t.Fatalf("milter: %v\n%s", err, m.Log())
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(startTime))
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatalf("milter: %v", err)
	}
	if tcp, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite()
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("milter: %v after %q", err, bytes)
	}
}

// RunMilter runs the milter's binary with a command and returns what it wrote and its exit code.
func RunMilter(t T, args ...string) (output string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, os.Getenv(milterVar), args...).CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return string(text), exit.ExitCode()
	} else if err != nil {
		t.Fatalf("milter: %v", err)
	}
	return string(text), 0
}
