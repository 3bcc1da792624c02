package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/miekg/dns"
)

// OwnResolver is a recursive server like the rig's that a test may kill.
type OwnResolver struct {
	Addr string // HOST:PORT
	dir  string
	proc *process
}

var ownResolvers atomic.Uint32

// StartResolver starts a resolver at an address of its own. It ends with the test.
func StartResolver(t T) *OwnResolver {
	t.Helper()
	r := newResolver(t, "allow")
	r.Start(t)
	return r
}

// StartRefusing starts a resolver that answers every query with REFUSED.
func StartRefusing(t T) *OwnResolver {
	t.Helper()
	r := newResolver(t, "refuse")
	r.launch(t)
	refuses := func() error {
		reply, err := Ask(r.Addr, "mx.example.net", dns.TypeA)
		if err == nil && reply.Rcode != dns.RcodeRefused {
			err = fmt.Errorf("it answers %s", dns.RcodeToString[reply.Rcode])
		}
		return err
	}
	if err := within(refuses); err != nil {
		t.Fatalf("resolver: %v\n%s", err, r.proc.output())
	}
	return r
}

func newResolver(t T, access string) *OwnResolver {
	t.Helper()
	host := fmt.Sprintf("192.0.2.%d", 53+ownResolvers.Add(1))
	r := &OwnResolver{Addr: host + ":53", dir: workDir(t, "resolver")}
	dnsDir := filepath.Join(os.TempDir(), "dns")
	conf, err := os.ReadFile(filepath.Join(dnsDir, "unbound.conf"))
	if err == nil {
		text := strings.NewReplacer("interface: "+resolverAddr, "interface: "+host, "/0 allow", "/0 "+access).
			Replace(string(conf))
		err = os.WriteFile(filepath.Join(r.dir, "unbound.conf"), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatalf("resolver: %v", err)
	}
	t.Cleanup(func() { r.Kill(t) })
	return r
}

// Start starts the resolver, for the first time or again, and waits until it answers.
func (r *OwnResolver) Start(t T) {
	t.Helper()
	r.launch(t)
	if err := within(answers(r.Addr)); err != nil {
		t.Fatalf("resolver: %v\n%s", err, r.proc.output())
	}
}

func (r *OwnResolver) launch(t T) {
	t.Helper()
	var err error
	if r.proc, err = start(r.dir, "unbound", "-d", "-c", filepath.Join(r.dir, "unbound.conf")); err != nil {
		t.Fatalf("resolver: %v", err)
	}
}

// Kill ends the resolver with SIGKILL.
func (r *OwnResolver) Kill(T) {
	if r.proc == nil {
		return
	}
	_ = r.proc.cmd.Process.Kill()
	<-r.proc.done
}

// Freeze stops the process: the resolver does not answer.
func (r *OwnResolver) Freeze(t T) { r.signal(t, syscall.SIGSTOP) }

// Thaw lets the resolver answer again.
func (r *OwnResolver) Thaw(t T) { r.signal(t, syscall.SIGCONT) }

func (r *OwnResolver) signal(t T, s os.Signal) {
	t.Helper()
	if err := r.proc.cmd.Process.Signal(s); err != nil {
		t.Fatalf("resolver: %v", err)
	}
}

// Override starts the resolver again with these records in the place of those of the zones, a line of a zone each.
func (r *OwnResolver) Override(t T, records ...string) {
	t.Helper()
	file := filepath.Join(r.dir, "unbound.conf")
	conf, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("resolver: %v", err)
	}
	text, _, _ := strings.Cut(string(conf), "\nserver: # override\n")
	text += "\nserver: # override\n"
	for _, record := range records {
		name, _, _ := strings.Cut(record, " ")
		text += fmt.Sprintf("  local-zone: %q redirect\n  local-data: %q\n", name, record)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatalf("resolver: %v", err)
	}
	r.Kill(t)
	r.Start(t)
}
