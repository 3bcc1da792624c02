package rig

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// StartAuth starts a server that lets everybody in, and returns the main.cf lines with which Postfix asks
// it about AUTH. It speaks the server's side of the Dovecot authentication protocol 1.2, for PLAIN.
func StartAuth(t T) []string {
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
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			go letIn(conn)
		}
	}()
	return []string{
		"smtpd_sasl_auth_enable = yes",
		"smtpd_sasl_type = dovecot",
		"smtpd_sasl_path = inet:" + listener.Addr().String(),
	}
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
