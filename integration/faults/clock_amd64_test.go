package faults

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// The clock jumps by an hour and by a day, forward and back, as when a time server is wrong or a virtual
// machine was paused. Mail does not notice: nothing that waits, expires or is limited goes by the clock that
// jumps. The records carry its time, and an entry of the allow list ends by it.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	server := startDNS(t, "mail.example.org. A 203.0.113.10\n203.0.113.10 PTR mail.example.org.\n")
	log := filepath.Join(t.TempDir(), "decisions")
	l := startLoadTest(t, "unix", fmt.Sprintf(`decision_log = %q
[[allow]]
network = "203.0.113.30"
until = %s
[limits]
idle = "30m"
[dns]
servers = [%q]`, log, time.Now().Add(12*time.Hour).UTC().Format(time.RFC3339), server.addr))
	clock := clockOf(t, l.milter)
	open := l.dialFrames(1, "")[0]
	if err := open.Greet("203.0.113.10", "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	if err := l.milter.Session("203.0.113.30", "friend"); err != nil {
		t.Fatal(err)
	}
	s := l.stream(accept)
	s.wait(3)
	asked := server.queries.Load()
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 0} {
		clock.set(ahead)
		s.wait(5)
		s.milter.Reload(t)
		s.wait(5)
		if err := l.milter.Session("203.0.113.30", "friend"); (err == nil) == (ahead > 12*time.Hour) {
			t.Errorf("%v ahead, a client with an entry for 12 h: %v", ahead, err)
		}
		var record struct{ Time time.Time }
		lines := completeLines(t, log)
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &record); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(record.Time) - ahead; off.Abs() > rig.WaitTimeout {
			t.Errorf("%v ahead, a record has %v", ahead, record.Time)
		}
	}
	if err := open.Message(); err != nil {
		t.Errorf("a session from before the jumps: %v", err)
	}
	if now := server.queries.Load(); now > asked {
		t.Errorf("answers expired: %d queries before the jumps, %d after", asked, now)
	}
	if violations := l.allViolations(); violations > 0 {
		t.Errorf("%v violations", violations)
	}
	if took := l.metric("helo_milter_decision_seconds_sum"); took < 0 || took > rig.WaitTimeout.Seconds() {
		t.Errorf("the decisions took %v s", took)
	}
	if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
	}
}

// clock is CLOCK_REALTIME as one process sees it. No namespace has one of its own (time_namespaces(7)), and
// Go calls no library that could be replaced, so the process is made to call a function of ours in the place
// of the kernel's __vdso_clock_gettime (vdso(7)).
type clock struct {
	*testing.T
	memory *os.File
	ahead  int64 // the address of the seconds that it adds
}

// clockGettime is clock_gettime(2), which adds the seconds in the last eight bytes to CLOCK_REALTIME.
const clockGettime = "\xb8\xe4\x00\x00\x00" + // mov eax, SYS_clock_gettime
	"\x0f\x05" + // syscall
	"\x85\xff" + // test edi, edi: CLOCK_REALTIME is 0
	"\x75\x0a" + // jne ret
	"\x48\x8b\x0d\x06\x00\x00\x00" + // mov rcx, [seconds]
	"\x48\x01\x0e" + // add [rsi], rcx: tv_sec
	"\xc3\x90\x90" + // ret
	"\x00\x00\x00\x00\x00\x00\x00\x00"

// clockOf takes over the clock of a running milter.
func clockOf(t *testing.T, m *rig.Milter) *clock {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", m.Pid())
	memory, err := os.OpenFile(proc+"mem", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = memory.Close() })
	from, to := vdso(t, proc+"maps")
	at := to - int64(len(clockGettime)) // the end of the last page is not used
	free := make([]byte, len(clockGettime))
	if _, err := memory.ReadAt(free, at); err != nil || len(bytes.Trim(free, "\x00")) > 0 {
		t.Fatalf("the vDSO at %x has no room: %v", from, err)
	}
	c := &clock{t, memory, to - 8}
	c.write(at, []byte(clockGettime))
	function := c.symbol(proc+"exe", "runtime.vdsoClockgettimeSym")
	c.write(function, binary.NativeEndian.AppendUint64(nil, uint64(at)))
	return c
}

// vdso returns where the vDSO of a process is.
func vdso(t *testing.T, maps string) (from, to int64) {
	t.Helper()
	text, err := os.ReadFile(maps)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "[vdso]") {
			if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
				t.Fatal(err)
			}
		}
	}
	return from, to
}

// symbol returns the address of a variable of a program.
func (c *clock) symbol(program, name string) int64 {
	c.Helper()
	file, err := elf.Open(program)
	if err != nil {
		c.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		c.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == name && file.Type == elf.ET_EXEC {
			return int64(s.Value)
		}
	}
	c.Fatalf("%s has no %s at a fixed address", program, name)
	return 0
}

func (c *clock) write(at int64, data []byte) {
	c.Helper()
	if _, err := c.memory.WriteAt(data, at); err != nil {
		c.Fatalf("clock: %v", err)
	}
}

// set makes the clock jump to a time ahead of the machine's.
func (c *clock) set(ahead time.Duration) {
	c.Helper()
	c.write(c.ahead, binary.NativeEndian.AppendUint64(nil, uint64(int64(ahead/time.Second))))
}
