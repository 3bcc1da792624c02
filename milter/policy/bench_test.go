package policy

import (
	"net"
	"testing"

	"helo-milter/milter/gate"
)

// A message of a client in the cache: what is asked at RCPT and DATA, on a connection that Postfix keeps.
func BenchmarkMessage(b *testing.B) {
	h := start(b, gate.Limits{}, nil)
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	connect, rcpt, data := requestText("CONNECT"), requestText("RCPT"), requestText("DATA")
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range []string{connect, rcpt, data} {
			if _, err := ask(conn, text); err != nil {
				b.Fatal(err)
			}
		}
	}
}
