package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// usage is what processes have used, according to the kernel.
type usage struct {
	cpu          time.Duration // to the nanosecond, with all threads, also those that have ended
	user, kernel uint64        // the same in ticks, of which 100 are a second: good for the proportion
	memory       int           // resident, in KiB
}

// used sums up what processes and their children use now.
func used(pids []int) (sum usage, _ error) {
	pids, err := withChildren(pids)
	for _, pid := range pids {
		var u usage
		if u, err = usedBy(pid); err != nil {
			break
		}
		sum.cpu += u.cpu
		sum.user += u.user
		sum.kernel += u.kernel
		sum.memory += u.memory
	}
	return sum, err
}

func usedBy(pid int) (u usage, err error) {
	// The clock of another process: clock_getcpuclockid(3).
	var ts syscall.Timespec
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	clock := uintptr(^pid)<<3 | schedClock
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return u, fmt.Errorf("process %d: its clock: %w", pid, errno)
	}
	u.cpu = time.Duration(ts.Nano())
	fields, err := stat(pid)
	if err != nil {
		return u, err
	}
	u.user, _ = strconv.ParseUint(fields[14-3], 10, 64)
	u.kernel, _ = strconv.ParseUint(fields[15-3], 10, 64)
	pages, _ := strconv.Atoi(fields[24-3])
	u.memory = pages * os.Getpagesize() / 1024
	return u, nil
}

// stat returns the fields of /proc/PID/stat from the third on, see proc(5).
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 24 {
		return nil, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	return fields, nil
}

// withChildren adds the processes that these have started, rspamd's workers for instance.
func withChildren(pids []int) ([]int, error) {
	all := append([]int(nil), pids...)
	entries, err := filepath.Glob("/proc/[0-9]*")
	for i := 0; i < len(all); i++ {
		for _, entry := range entries {
			pid, _ := strconv.Atoi(filepath.Base(entry))
			fields, err := stat(pid)
			if err == nil && fields[4-3] == strconv.Itoa(all[i]) {
				all = append(all, pid)
			}
		}
	}
	return all, err
}
