//go:build !linux

package milter

// quickAck is for Linux only.
func quickAck(uintptr) {}
