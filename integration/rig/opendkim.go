package rig

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// StartOpenDKIM starts OpenDKIM as a verifier that adds a result of mx.example.net to every message, and
// returns its socket.
func StartOpenDKIM(t T) (socket string) {
	t.Helper()
	dir, port := workDir(t, "opendkim"), FreePort()
	conf := filepath.Join(dir, "opendkim.conf")
	text := fmt.Sprintf("Mode v\nSyslog no\nAlwaysAddARHeader yes\nAuthservID mx.example.net\n"+
		"Socket inet:%d@127.0.0.1\nNameservers %s\n", port, resolverAddr)
	err := os.WriteFile(conf, []byte(text), 0o644)
	var proc *process
	if err == nil {
		proc, err = start(dir, "opendkim", "-f", "-x", conf)
	}
	if err != nil {
		t.Fatalf("opendkim: %v", err)
	}
	t.Cleanup(func() { // libmilter notices signals only every 5 s
		_ = proc.cmd.Process.Kill()
		<-proc.done
	})
	err = within(func() error {
		if err := proc.running(); err != nil {
			return err
		}
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("opendkim: %v\n%s", err, proc.output())
	}
	return fmt.Sprintf("inet:127.0.0.1:%d", port)
}
