package main

import "runtime"

// reserve keeps the garbage collector of a command that decodes much and keeps little from running hundreds of
// times a second, for each few MB: it counts 16 MB more as in use, of which the operating system gives none, as
// they are not touched. What it returns is to be called at the end.
func reserve() (release func()) {
	untouched := make([]byte, 16<<20)
	return func() { runtime.KeepAlive(untouched) }
}
