package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"helo-milter/integration/rig"
)

// idle measures the memory of connections whose clients have said HELO and wait.
func idle(t rig.T, out io.Writer, plan plan) {
	// This process has an end of each connection, and the programs inherit its limit.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("%v", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("%v", err)
	}
	clients := pool{size: plan.clients}
	startUnbound(t, clients, idleResolver)
	tab := table{head: []string{"program", "connections", "KiB each", "MiB before", "MiB with all"}}
	var limits []error
	for _, p := range start(t, idleResolver, goNoop, libNoop, ours, hfilter) {
		before := p.used(t)
		conns, err := clients.open(p.sockets["inet"], plan.idle)
		time.Sleep(plan.hold)
		after := p.used(t)
		for _, conn := range conns {
			conn.conn.Close()
		}
		if err != nil {
			limits = append(limits, fmt.Errorf("%s takes no more: %w", p.name, err))
		}
		tab.row(p.name, len(conns), fmt.Sprintf("%.1f", float64(after.memory-before.memory)/float64(max(1, len(conns)))),
			mebi(before.memory), mebi(after.memory))
	}
	fmt.Fprintf(out, idleTitle, plan.idle, plan.hold)
	tab.print(out)
	for _, err := range limits {
		fmt.Fprintf(out, "\n%v\n", err)
	}
}

const idleResolver = "192.0.2.202"

const idleTitle = `
## What an idle connection holds

Resident memory of the process, before and with %d connections over TCP that have got as far as HELO, %v after the last.

`

func mebi(kib int) string { return fmt.Sprintf("%.0f", float64(kib)/1024) }

// open opens n connections as far as HELO. After an error it returns those that are open.
func (p pool) open(socket string, n int) (open []*mta, err error) {
	var next atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				c := p.client(i % p.size)
				m := &mta{client: &c}
				failed := m.greet(socket)
				mu.Lock()
				if failed == nil {
					open = append(open, m)
				} else {
					err = failed
				}
				stop := err != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	workers.Wait()
	return open, err
}
