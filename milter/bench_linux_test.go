package milter

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// messageScript is a message as Postfix sends it to a milter that wants neither DATA nor body: what it writes at
// a time, awaiting an answer to each but the last. The macros of HELO and RCPT are those that it sends without
// being asked.
var messageScript = []string{
	"O6",
	"DCj~mx.example.net~{client_name}~mail.example.org~{client_ptr}~mail.example.org~{client_resolve}~OK~" +
		"{daemon_addr}~192.0.2.25~ | Cmail.example.org~4--203.0.113.1~",
	"DH{tls_version}~TLSv1.3~{cipher}~TLS_AES_256_GCM_SHA384~{cipher_bits}~256~ | Hmail.example.org~",
	"M<a@example.org>~SIZE=1000~BODY=8BITMIME~ | " +
		"DR{rcpt_addr}~b@example.net~{rcpt_host}~mx.example.net~{rcpt_mailer}~relay~ | R<b@example.net>~",
	"LReceived~ from mail.example.org by mx.example.net~ | LFrom~ a@example.org~ | LTo~ b@example.net~ | " +
		"LSubject~ hello~ | LDate~ Sat, 28 Nov 2026 10:00:00 +0000~ | LMessage-ID~ <1@example.org>~ | " +
		"LMIME-Version~ 1.0~ | LContent-Type~ text/plain~ | DEi~4bXyz12345zABC~ | E",
	"A | Q",
}

// benchServer serves on a listener until the benchmark ends.
func benchServer(b *testing.B, ln net.Listener) {
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Standard),
			Exempt: &checks.Exemptions{Private: true, Authenticated: true},
		},
		DNS:    &checks.DNS{Resolver: checkstest.Parse(b, testZone), Timeout: time.Second},
		Header: "X-HELO-Check",
		Log:    slog.New(slog.DiscardHandler),
	}
	server := NewServer(cfg, guarded(ln, gate.Limits{Connections: 20000}))
	done := make(chan error)
	go func() { done <- server.Serve() }()
	b.Cleanup(func() {
		_ = server.Shutdown(b.Context())
		<-done
	})
}

// A whole message an operation, through the guard, the library and the session; its lookups are answered at
// once. cpu-ns/op is that of the process, the client in it included.
func BenchmarkMessage(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			ln := listen(b, network)
			benchServer(b, ln)
			var exchanges []string
			for _, script := range messageScript {
				exchanges = append(exchanges, stream(script))
			}
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				conn, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				for i, exchange := range exchanges {
					if _, err := io.WriteString(conn, exchange); err != nil {
						b.Fatal(err)
					}
					if i < len(exchanges)-1 {
						readAnswer(b, conn)
					}
				}
				_, _ = conn.Read(make([]byte, 1)) // until the session has ended
				_ = conn.Close()
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// readAnswer reads up to a reply that is no modification.
func readAnswer(b *testing.B, conn net.Conn) {
	var buf [1024]byte
	for n, at := 0, 0; ; {
		got, err := conn.Read(buf[n:])
		if err != nil {
			b.Fatal(err)
		}
		for n += got; n-at >= headLen && n-at >= 4+int(binary.BigEndian.Uint32(buf[at:])); {
			if strings.IndexByte(modifications, buf[at+4]) < 0 {
				return
			}
			at += 4 + int(binary.BigEndian.Uint32(buf[at:]))
		}
	}
}

// What a connection costs that has said HELO and waits. An operation is 5000 of them.
func BenchmarkIdle(b *testing.B) {
	ln := listen(b, "unix")
	benchServer(b, ln)
	for b.Loop() {
		const connections = 5000
		var fds []int
		heap, stacks := memory()
		for range connections {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err == nil {
				err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: ln.Addr().String()})
			}
			for _, script := range messageScript[:3] {
				if err == nil {
					_, err = syscall.Write(fd, []byte(stream(script)))
				}
				if err == nil {
					_, err = syscall.Read(fd, make([]byte, 1024))
				}
			}
			if err != nil {
				b.Fatal(err)
			}
			fds = append(fds, fd)
		}
		fullHeap, fullStacks := memory()
		b.ReportMetric((fullHeap-heap)/connections, "heap-B/conn")
		b.ReportMetric((fullStacks-stacks)/connections, "stack-B/conn")
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}
}

// memory returns how many bytes are live on the heap, and how many in stacks.
func memory() (heap, stacks float64) {
	time.Sleep(200 * time.Millisecond) // what still runs comes to its end
	runtime.GC()
	runtime.GC()
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64()), float64(samples[1].Value.Uint64())
}
