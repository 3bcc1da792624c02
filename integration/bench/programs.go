package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"helo-milter/integration/rig"
)

// program is a milter that is measured.
type program struct {
	name    string
	pids    []int
	sockets map[string]string // by network, inet or unix, in Postfix's notation
	keeps   bool              // it keeps what it has looked up
	memory  func() (allocs, bytes uint64)
	http    string // address of ours for metrics
}

// The names of the programs in the tables.
const (
	goNoop     = "go-milter no-op"
	goAgain    = "go-milter no-op again"
	libNoop    = "libmilter no-op"
	ours       = "helo-milter"
	oursLogged = "helo-milter, decision_log"
	hfilter    = "rspamd, only hfilter"
)

var programNames = []string{goNoop, goAgain, libNoop, ours, oursLogged, hfilter}

// start starts programs, which ask a resolver (an address, port 53), and waits until they serve.
func start(t rig.T, resolver string, names ...string) (programs []*program) {
	for _, name := range names {
		p := &program{name: name}
		switch name {
		case goNoop, goAgain:
			noop := startNoop(t, bareAdding, "inet", "unix")
			p.pids, p.sockets, p.memory = []int{noop.pid}, noop.sockets, noop.allocated
		case libNoop:
			p.startLibmilter(t)
		case ours:
			p.startOurs(t, resolver, "", "", "")
		case oursLogged:
			p.startOurs(t, resolver, logTo(filepath.Join(tempDir(t), "decisions")), "", "")
		case hfilter:
			p.startRspamd(t, resolver)
		}
		programs = append(programs, p)
	}
	for _, p := range programs {
		p.wait(t)
	}
	return programs
}

// logTo is the line of a configuration for a decision log.
func logTo(file string) string { return fmt.Sprintf("decision_log = %q", file) }

// startOurs starts our milter, with lines of configuration: the first ones, those of [http], and those of
// [dns] and what follows it.
func (p *program) startOurs(t rig.T, resolver, line, httpLine, dnsLine string) *rig.Milter {
	m := rig.NewMilter(t, "unix", "")
	p.http = fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	p.sockets = map[string]string{"unix": m.Socket, "inet": fmt.Sprintf("inet:127.0.0.1:%d", rig.FreePort())}
	m.Configure(t, fmt.Sprintf("listen = [%q, %q]\nsocket_mode = \"0666\"\n%s\n[http]\nlisten = %q\n%s\n"+
		"[limits]\nconnections = 20000\n[dns]\nservers = [%q]\n%s\n",
		p.sockets["unix"], p.sockets["inet"], line, p.http, httpLine, net.JoinHostPort(resolver, "53"), dnsLine))
	m.Start(t)
	p.pids, p.keeps = []int{m.Pid()}, true
	p.memory = func() (allocs, bytes uint64) {
		metrics := rig.Metrics(t, p.http)
		return uint64(metrics["go_memstats_mallocs_total"]), uint64(metrics["go_memstats_alloc_bytes_total"])
	}
	return m
}

//go:embed libmilter/noop.c
var libmilterSource []byte

func (p *program) startLibmilter(t rig.T) {
	dir := tempDir(t)
	source, binary := filepath.Join(dir, "noop.c"), filepath.Join(dir, "noop")
	err := os.WriteFile(source, libmilterSource, 0o644)
	if err == nil {
		var out []byte
		out, err = exec.Command("gcc", "-O2", "-o", binary, source, "-lmilter", "-lpthread").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("gcc (the packages gcc, libc6-dev and libmilter-dev are needed): %w\n%s", err, out)
		}
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	port, path := rig.FreePort(), filepath.Join(dir, "socket")
	p.sockets = map[string]string{"unix": "unix:" + path, "inet": fmt.Sprintf("inet:127.0.0.1:%d", port)}
	for _, socket := range []string{"unix:" + path, fmt.Sprintf("inet:%d@127.0.0.1", port)} {
		p.pids = append(p.pids, run(t, exec.Command(binary, socket, field)))
	}
}

//go:embed rspamd.conf
var rspamdConf []byte

//go:embed globals.lua
var rspamdGlobals []byte

func (p *program) startRspamd(t rig.T, resolver string) {
	dir := tempDir(t)
	config := filepath.Join(dir, "rspamd.conf")
	err := errors.Join(os.WriteFile(config, rspamdConf, 0o644),
		os.WriteFile(filepath.Join(dir, "globals.lua"), rspamdGlobals, 0o644),
		os.Chmod(dir, 0o777)) // it is user nobody
	if err != nil {
		t.Fatalf("%v", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	p.sockets = map[string]string{"unix": "unix:" + filepath.Join(dir, "milter"), "inet": "inet:" + address}
	p.pids = []int{run(t, exec.Command("rspamd", "--no-fork", "--user=nobody", "--group=nogroup", "--config="+config,
		"--var=DBDIR="+dir, "--var=ADDRESS="+address, "--var=RESOLVER="+resolver))}
}

// startUnbound starts a resolver that knows the clients of a pool, and returns its process.
func startUnbound(t rig.T, p pool, address string) (pid int) {
	dir := tempDir(t)
	config := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(config, []byte(p.unboundConf(address, dir)), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
	pid = run(t, exec.Command("unbound", "-d", "-c", config))
	rig.Eventually(t, func() error {
		reply, err := rig.Ask(address+":53", p.client(0).name, 1)
		if err == nil && len(reply.Answer) == 0 {
			err = fmt.Errorf("unbound does not know %s", p.client(0).name)
		}
		return err
	})
	return pid
}

// wait waits until the program serves.
func (p *program) wait(t rig.T) {
	known := pool{}.client(0)
	for _, socket := range p.sockets {
		rig.Eventually(t, func() error {
			m := mta{client: &known}
			if err := m.greet(socket); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			return m.conn.Close()
		})
	}
}

// run starts a command, which ends with the measurement, and returns its process id.
func run(t rig.T, cmd *exec.Cmd) (pid int) {
	log, err := os.Create(filepath.Join(tempDir(t), filepath.Base(cmd.Path)+".log"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer log.Close()
	if cmd.Stderr = log; cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its workers, too
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// tempDir makes a directory that every user may search.
func tempDir(t rig.T) string {
	dir, err := os.MkdirTemp("", "bench-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
