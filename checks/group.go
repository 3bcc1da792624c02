package checks

import (
	"iter"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Panic is a panic that was caught, with the stack of the goroutine that it happened in.
type Panic struct {
	Value any
	Stack []byte
}

// Caught is what recover returned, which is not nil, as a Panic. Called by the deferred function itself,
// it still sees the stack of the panic. What is a Panic already comes from another goroutine, and stays.
func Caught(recovered any) *Panic {
	if p, ok := recovered.(*Panic); ok {
		return p
	}
	return &Panic{recovered, debug.Stack()}
}

// group is a sync.WaitGroup whose goroutines may panic, which would end the program: Wait panics in their
// stead, where somebody can recover. Wait and close are for the goroutine that owns the group.
type group struct {
	inline  bool // Go runs what it gets itself
	raised  bool // Wait has panicked
	running sync.WaitGroup
	first   atomic.Pointer[Panic]
}

// Go runs f in a goroutine.
func (g *group) Go(f func()) {
	if g.inline {
		g.run(f)
		return
	}
	g.running.Go(func() { g.run(f) })
}

func (g *group) run(f func()) {
	if p := catch(f); p != nil {
		g.keep(p)
	}
}

// catch runs f, and returns its panic, if there is one.
func catch(f func()) (caught *Panic) {
	defer func() {
		if p := recover(); p != nil {
			caught = Caught(p)
		}
	}()
	f()
	return nil
}

// keep keeps a panic, if it is the first one.
func (g *group) keep(p *Panic) { g.first.CompareAndSwap(nil, p) }

// Wait waits for all goroutines. Every time, it panics with the first *Panic of them, if there was one.
func (g *group) Wait() {
	g.running.Wait()
	if p := g.first.Load(); p != nil {
		g.raised = true
		panic(p)
	}
}

// close is the last Wait, which does not say again what Wait has said.
func (g *group) close() {
	if g.raised {
		g.running.Wait()
		return
	}
	g.Wait()
}

// elsewhere runs f on another stack, and returns when it has: a stack that grows keeps its size, and a
// session's goroutine would keep 8 KiB instead of 4 while its connection is idle. A coroutine takes no turn
// of the scheduler, and wakes no other thread as a goroutine would.
func elsewhere(f func()) {
	next, stop := iter.Pull(func(func(struct{}) bool) {
		deepen()
		f()
	})
	defer stop()
	next()
}

// deepen makes its goroutine's stack grow once, to what a lookup takes. It would grow three times, and be
// copied each time, with all frames: that took a third of a session's time.
//
//go:noinline
func deepen() {
	var room [5 << 10]byte
	room[len(room)-1] = 1
	runtime.KeepAlive(&room)
}
