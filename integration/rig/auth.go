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

// startAuth starts a server for Postfix's AUTH that accepts any password, and returns its address. It speaks
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
			go acceptAuth(conn)
		}
	}()
	return listener.Addr().String()
}

func acceptAuth(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if fields := strings.Split(lines.Text(), "\t"); fields[0] == "AUTH" && len(fields) > 1 {
			fmt.Fprintf(conn, "OK\t%s\tuser=someone\n", fields[1])
		}
	}
}

// saslSocket returns the socket at which Sendmail's SASL library verifies passwords.
func saslSocket(run string) string { return filepath.Join(run, "saslauthd") }

// startSasl starts a server in place of saslauthd(8) that accepts any password, until the rig ends.
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

// saslOK reads a request and accepts it. A request is user, password, service and realm, each after its
// length in two bytes, as is the reply.
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
