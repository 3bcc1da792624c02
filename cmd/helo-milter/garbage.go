package main

import (
	"os"
	"runtime"
	"runtime/debug"
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
