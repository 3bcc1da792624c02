package integration

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// output is what a program has printed so far.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.String(), "\n"), "\n")
}

// A zone that becomes wrong is one line, and one when it is right again. A server that is stopped is none.
func TestSelftestWatches(t *testing.T) {
	t.Parallel()
	resolver := rig.StartResolver(t)
	cmd := rig.Command(t.Context(), t, "selftest", "--watch", "--every", "1s", "--dns", resolver.Addr, "203.0.113.10")
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	says := func(n int, what string) {
		rig.Eventually(t, func() error {
			if lines := out.lines(); len(lines) != n || !strings.Contains(lines[n-1], what) {
				return fmt.Errorf("not %d lines, the last with %q: %q", n, what, lines)
			}
			return nil
		})
	}
	time.Sleep(3 * time.Second)
	says(1, "") // nothing at all
	resolver.Override(t, "mail.example.org. A 203.0.113.99")
	says(1, " 203.0.113.10 wrong: ")
	resolver.Override(t)
	says(2, " 203.0.113.10 ok")
	resolver.Kill(t)
	time.Sleep(4 * time.Second)
	says(2, " 203.0.113.10 ok")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
