// Bench tells what the milter costs an SMTP client: the time of a session, from connecting to the 250 after
// DATA, through Postfix without a milter, with one that does nothing at the same stages, and with ours, DNS
// answers cached.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
	"helo-milter/milter"
)

func main() {
	rounds := flag.Int("n", 300, "rounds of one session each")
	flag.Parse()
	rig.Enter()
	b := &bench{}
	defer b.end()

	sink := rig.StartSink(b)
	ways := []*way{{name: "no milter", postfix: rig.StartPostfix(b, sink)}}
	for _, network := range []string{"unix", "inet"} {
		ways = append(ways,
			through(b, sink, "no-op, "+network, noop(b, network)),
			through(b, sink, "helo-milter, "+network, rig.StartMilter(b, network, "").Socket))
	}
	const warmUp = 5
	for round := range warmUp + *rounds {
		for i := range ways {
			// Nobody always follows the same neighbour.
			w := ways[(i+round)%len(ways)]
			if took := w.session(b); round >= warmUp {
				w.times = append(w.times, took)
			}
		}
	}
	base := ways[0].quantile(0.5)
	fmt.Printf("%-18s %10s %10s %10s %7s\n", "", "p10", "median", "p90", "ratio")
	for _, w := range ways {
		median := w.quantile(0.5)
		fmt.Printf("%-18s %10v %10v %10v %7.2f\n", w.name, w.quantile(0.1), median, w.quantile(0.9),
			float64(median)/float64(base))
	}
}

func through(t rig.T, sink *rig.Sink, name, socket string) *way {
	return &way{name: name, postfix: rig.StartPostfix(t, sink, "smtpd_milters = "+socket)}
}

// noop serves a milter that does nothing, behind our guard, so that TCP does not stall either.
func noop(t rig.T, network string) (socket string) {
	dir, err := os.MkdirTemp("", "noop-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	dial, address := "unix", filepath.Join(dir, "socket")
	if network == "inet" {
		dial, address = "tcp", "127.0.0.1:0"
	}
	ln, err := net.Listen(dial, address)
	if err == nil && dial == "unix" {
		err = os.Chmod(address, 0o666)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	server := gomilter.NewServer(
		gomilter.WithMilter(func() gomilter.Milter { return gomilter.NoOpMilter{} }),
		gomilter.WithProtocol(gomilter.OptNoBody|gomilter.OptNoEOH|gomilter.OptNoData|gomilter.OptNoUnknown|
			gomilter.OptNoMailReply|gomilter.OptNoHeaderReply))
	guard := milter.NewGuard(milter.Limits{})
	guard.Add(ln)
	go server.Serve(guard)
	t.Cleanup(func() { _ = server.Close() })
	return network + ":" + ln.Addr().String()
}

// way is one of the things compared.
type way struct {
	name    string
	postfix *rig.Postfix
	times   []time.Duration
}

func (w *way) session(t rig.T) time.Duration {
	client := netip.MustParseAddr("203.0.113.10")
	const script = "EHLO mail.example.org|MAIL FROM:<a@example.org>|RCPT TO:<b@example.net>|DATA"
	begin := time.Now()
	replies := rig.Talk(t, client, w.postfix.Endpoint(client), script, rig.Message)
	took := time.Since(begin)
	if last := replies[len(replies)-1]; last.Code != 250 {
		t.Fatalf("%s: %+v\n%s", w.name, replies, w.postfix.Log())
	}
	return took
}

func (w *way) quantile(q float64) time.Duration {
	times := slices.Sorted(slices.Values(w.times))
	return times[int(q*float64(len(times)))].Round(10 * time.Microsecond)
}

// bench stands in for a test.
type bench struct{ cleanups []func() }

func (b *bench) Helper()                           {}
func (b *bench) Cleanup(f func())                  { b.cleanups = append(b.cleanups, f) }
func (b *bench) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (b *bench) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func (b *bench) end() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
}
