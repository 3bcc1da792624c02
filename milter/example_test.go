package milter_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"helo-milter/checks"
	"helo-milter/milter"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// Four zero bytes are a frame of no length, on which go-milter panics in a goroutine of its own. The guard closes
// the connection that they came on, and the server goes on.
func ExampleGuard() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	guard := milter.NewGuard(gate.New(gate.Limits{
		Connections: 100,
		OnViolation: func(_ net.Addr, kind string) { fmt.Println("violation:", kind) },
	}))
	guard.Add(ln)
	server := milter.NewServer(&door.Config{
		Judge: &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Careful)},
		Log:   slog.New(slog.DiscardHandler),
	}, guard)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()

	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = conn.Write([]byte{0, 0, 0, 0})
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	_, err = conn.Read(make([]byte, 1))
	fmt.Println("connection closed:", err == io.EOF)
	_ = conn.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println("server healthy:", guard.Probe(ctx) == nil)
	_ = server.Shutdown(ctx)
	<-served
	// Output:
	// violation: empty
	// connection closed: true
	// server healthy: true
}
