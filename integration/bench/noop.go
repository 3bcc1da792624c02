package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"helo-milter/integration/rig"
	"helo-milter/milter"
	"helo-milter/milter/gate"
)

// The forms of a milter that does nothing.
const (
	bare       = "bare"        // go-milter alone
	bareAdding = "bare-adding" // and adds a header field to each message, as ours does
	plain      = "plain"       // behind our guard
	adding     = "adding"      // behind our guard, and adds a header field
)

const field = "accept; client=203.0.113.10; helo=mail.example.org; iprev=pass; score=0.0;\n" +
	"\trules=none; unsure=none; id=abcdefghijklmnopqrstuvwxyz"

// noop is a no-op milter in a process of its own, which it needs to be comparable.
type noop struct {
	pid     int
	sockets map[string]string // by network
	ask     io.Writer
	answers *bufio.Reader
}

// asNoop is the argument with which this program runs itself as a no-op milter.
const asNoop = "-noop"

// maybeNoop serves as a no-op milter, for good, if the program was run as one.
func maybeNoop() {
	if len(os.Args) > 2 && os.Args[1] == asNoop {
		log.Fatal(serveNoop(os.Args[2], os.Args[3:]))
	}
}

// startNoop runs this program again as a no-op milter that listens on these networks.
func startNoop(t rig.T, form string, networks ...string) *noop {
	n := &noop{sockets: map[string]string{}}
	cmd := exec.Command("/proc/self/exe", asNoop, form)
	for _, network := range networks {
		ln, err := listen(t, network)
		if err != nil {
			t.Fatalf("%v", err)
		}
		defer ln.Close()
		file, err := ln.File()
		if err != nil {
			t.Fatalf("%v", err)
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		n.sockets[network] = network + ":" + ln.Addr().String()
	}
	cmd.Args = append(cmd.Args, networks...)
	ask, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	n.ask, n.answers = ask, bufio.NewReader(answers)
	n.pid = run(t, cmd)
	return n
}

// allocated asks how many objects and bytes the process has allocated so far.
func (n *noop) allocated() (allocs, bytes uint64) {
	fmt.Fprintln(n.ask)
	line, _ := n.answers.ReadString('\n')
	_, _ = fmt.Sscan(line, &allocs, &bytes)
	return allocs, bytes
}

type listener interface {
	net.Listener
	File() (*os.File, error)
}

// listen opens a TCP port ("inet"), or a unix socket that stays when the listener is closed.
func listen(t rig.T, network string) (listener, error) {
	if network == "inet" {
		return net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	path := filepath.Join(tempDir(t), "socket") // user postfix must be able to enter
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	return ln, os.Chmod(path, 0o666)
}

// serveNoop serves on the listeners that startNoop opened, until it is killed, and answers each line on
// standard input with what has been allocated.
func serveNoop(form string, networks []string) error {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			fmt.Println(stats.Mallocs, stats.TotalAlloc)
		}
	}()
	server := rig.Noop("")
	if strings.HasSuffix(form, adding) {
		server = rig.Noop(field)
	}
	ended := make(chan error)
	for i := range networks {
		ln, err := net.FileListener(os.NewFile(uintptr(3+i), "listener"))
		if err != nil {
			return err
		}
		if !strings.HasPrefix(form, bare) {
			guard := milter.NewGuard(gate.New(gate.Limits{}))
			guard.Add(ln)
			ln = guard
		}
		go func() { ended <- server.Serve(ln) }()
	}
	return <-ended
}
