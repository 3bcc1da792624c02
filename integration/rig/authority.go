package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/miekg/dns"
)

// Authority is a DNS server that knows all names there are, by records that a test may change: knot, with a root zone of
// its own. Whoever asks it needs no resolver, so that a change counts at once.
type Authority struct {
	Addr string // HOST:PORT

	host   string
	dir    string
	serial int
	proc   *process
}

// StartAuthority starts a server with the lines of a zone file whose names are absolute. It ends with the test.
func StartAuthority(t T, records string) *Authority {
	t.Helper()
	host := fmt.Sprintf("192.0.2.%d", 53+ownResolvers.Add(1))
	a := &Authority{Addr: host + ":53", host: host, dir: workDir(t, "authority")}
	a.write(t, records)
	conf := fmt.Sprintf(knotConf, a.dir, host) + fmt.Sprintf("  - domain: \".\"\n    file: %q\n", filepath.Join(a.dir, "zone"))
	if err := os.WriteFile(filepath.Join(a.dir, "knot.conf"), []byte(conf), 0o644); err != nil {
		t.Fatalf("authority: %v", err)
	}
	t.Cleanup(a.Kill)
	a.Start(t)
	return a
}

// Start starts the server, for the first time or again, and waits until it answers.
func (a *Authority) Start(t T) {
	t.Helper()
	var err error
	if a.proc, err = start(a.dir, "knotd", "-c", filepath.Join(a.dir, "knot.conf")); err != nil {
		t.Fatalf("authority: %v", err)
	}
	a.await(t)
}

// Kill ends the server with SIGKILL.
func (a *Authority) Kill() {
	_ = a.proc.cmd.Process.Kill()
	<-a.proc.done
}

// Set replaces all records, and waits until they are served.
func (a *Authority) Set(t T, records string) {
	t.Helper()
	a.write(t, records)
	if err := a.proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatalf("authority: %v", err)
	}
	a.await(t)
}

func (a *Authority) write(t T, records string) {
	t.Helper()
	a.serial++
	text := fmt.Sprintf(". 1 SOA ns.example. root.example. %d 3600 3600 3600 1\n. 1 NS ns.example.\nns.example. 1 A %s\n%s\n",
		a.serial, a.host, records)
	if err := os.WriteFile(filepath.Join(a.dir, "zone"), []byte(text), 0o644); err != nil {
		t.Fatalf("authority: %v", err)
	}
}

// await waits for the answers of the zone file that was written last.
func (a *Authority) await(t T) {
	t.Helper()
	err := within(func() error {
		reply, err := Ask(a.Addr, ".", dns.TypeSOA)
		if err != nil {
			return err
		}
		if len(reply.Answer) == 1 {
			if soa, ok := reply.Answer[0].(*dns.SOA); ok && soa.Serial == uint32(a.serial) {
				return nil
			}
		}
		return fmt.Errorf("not serial %d: %v", a.serial, reply)
	})
	if err != nil {
		t.Fatalf("authority: %v\n%s", err, a.proc.output())
	}
}
