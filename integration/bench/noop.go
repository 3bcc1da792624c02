package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"helo-milter/integration/rig"
	"helo-milter/milter"
)

// The forms of a milter that does nothing.
const (
	bare   = "bare"   // go-milter alone
	plain  = "plain"  // behind our guard
	adding = "adding" // behind our guard, and adds a header field to each message, as ours does
)

const field = "accept; client=203.0.113.10; helo=mail.example.org; iprev=pass; score=0.0;\n" +
	"\trules=none; unsure=none; id=abcdefghijklmnopqrstuvwxyz"

// startNoop runs this program again as a no-op milter, which needs a process of its own to be comparable.
func startNoop(t rig.T, form, network string) (socket string) {
	ln, err := listen(network)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer file.Close()
	cmd := exec.Command("/proc/self/exe", "-noop", form)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	return network + ":" + ln.Addr().String()
}

type listener interface {
	net.Listener
	File() (*os.File, error)
}

// listen opens a TCP port ("inet"), or a unix socket that stays when the listener is closed.
func listen(network string) (listener, error) {
	if network == "inet" {
		return net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	dir, err := os.MkdirTemp("", "noop-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "socket")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(dir, 0o755); err != nil { // user postfix must be able to enter
		return nil, err
	}
	return ln, os.Chmod(path, 0o666)
}

// serveNoop serves on the listener that startNoop opened, until it is killed.
func serveNoop(form string) error {
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	if form != bare {
		guard := milter.NewGuard(milter.Limits{})
		guard.Add(ln)
		ln = guard
	}
	if form == adding {
		return rig.Noop(field).Serve(ln)
	}
	return rig.Noop("").Serve(ln)
}
