package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// collect has the garbage collector count so many bytes more as in use, of which the operating system gives none, as
// they are not touched, and run when there is as much garbage as percent of what is in use. A program that keeps a
// few MB is not interrupted for each few MB of garbage then, and one that keeps much more keeps less garbage. GOGC in
// the environment wins. What it returns is to be called at the end.
func collect(percent, untouched int) (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	reserve := make([]byte, untouched)
	before := debug.SetGCPercent(percent)
	return func() {
		debug.SetGCPercent(before)
		runtime.KeepAlive(reserve)
	}
}

// What counts as rest after a burst.
const (
	restEvery = 500 * time.Millisecond
	restMost  = 512 << 10 // bytes allocated in that time, at most
	restWorth = 8 << 20   // bytes allocated since the last time, at least
	restMany  = 1000      // goroutines, at least
	restShare = 50        // one part in so many of the time goes into it, at most
)

// tidy collects the garbage and returns memory to the operating system when the program comes to rest after a
// burst, until the context ends. The collector runs only when enough is allocated, so that what a burst leaves
// behind would stay for as long as nothing happens. It is worth that where many goroutines wait, one for each
// connection: after fewer, the next burst would pay for getting the memory back. GOGC in the environment wins.
func tidy(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	var last, tidied uint64
	var pause time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, before := allocated(), last
		last = now
		begun := time.Now()
		calm := now-before <= restMost && !begun.Before(pause)
		if !calm || now-tidied < restWorth || runtime.NumGoroutine() < restMany {
			continue
		}
		debug.FreeOSMemory()
		pause = begun.Add(restShare * time.Since(begun))
		tidied = now
	}
}

// allocated returns how many bytes the heap has given out so far, in use or not.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
