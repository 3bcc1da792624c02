package rig

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// startAuth starts a server that lets everybody in, for Postfix's AUTH, and returns its address. It speaks
// the server's side of the Dovecot authentication protocol 1.2, for PLAIN.
func startAuth(t T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("auth: %v", err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(WaitTimeout))
			go letIn(conn)
		}
	}()
	return listener.Addr().String()
}

func letIn(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if fields := strings.Split(lines.Text(), "\t"); fields[0] == "AUTH" && len(fields) > 1 {
			fmt.Fprintf(conn, "OK\t%s\tuser=someone\n", fields[1])
		}
	}
}

// saslSocket is where Sendmail's library asks about AUTH.
func saslSocket(run string) string { return filepath.Join(run, "saslauthd") }

// startSasl starts what saslauthd(8) would be, which lets everybody in, for as long as the world stands.
func startSasl() error {
	listener, err := net.Listen("unix", saslSocket(os.TempDir()))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(WaitTimeout))
			go saslOK(conn)
		}
	}()
	return nil
}

// saslOK takes a question and says yes: user, password, service and realm, each behind its length in two
// bytes, and so is the answer.
func saslOK(conn net.Conn) {
	defer conn.Close()
	for range 4 {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(size[:]))); err != nil {
			return
		}
	}
	_, _ = io.WriteString(conn, "\x00\x02OK")
}
