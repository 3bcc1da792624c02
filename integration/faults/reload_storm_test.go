package faults

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// A thousand reloads (more in a soak), every other one with a mistake, while sessions run: no session is
// lost, and the milter does not grow. Each valid one opens or closes a listener and reopens the decision log.
func TestReloadStorm(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	m := rig.NewMilter(t, "unix", "")
	m.Plain = true
	n := receiveNotifications(t, m)
	config := func(i int) string {
		more := ""
		if i%4 == 0 {
			more = fmt.Sprintf(", \"unix:%s/more\"", m.Dir)
		}
		mistake := ""
		if i%2 == 1 {
			mistake = "mistake = true\n"
		}
		return fmt.Sprintf("listen = [%q%s]\ndecision_log = \"%s/decisions\"\n%s[http]\nlisten = %q\n",
			m.Socket, more, m.Dir, mistake, address)
	}
	m.Configure(t, config(0))
	m.Launch(t)
	n.await("READY=1")
	long, err := begin(m.Socket, "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	stop := keepConnecting(t, m.Socket)
	reloads := 1000 * *soak
	begins, ends := size{}, size{}
	for i := range reloads {
		m.Configure(t, config(i+1))
		m.Signal(t, syscall.SIGHUP)
		n.await("RELOADING=1")
		n.await("READY=1")
		if i%20 == 19 {
			if err := long.message("long@example.org"); err != nil {
				t.Fatalf("the oldest session, after %d reloads: %v", i, err)
			}
			switch {
			case i >= reloads*3/5:
				ends.add(t, m, address)
			case i >= reloads/5:
				begins.add(t, m, address)
			}
		}
	}
	stop()
	t.Logf("after %d reloads: %v, after %d: %v", reloads/5, begins, reloads*3/5, ends)
	for name, was := range begins {
		const inUse = 3 // files of sessions and of the scraper; a leak of 400 reloads would be many more
		if is := ends[name]; is > was*1.1+inUse {
			t.Errorf("%s grew from %v to %v", name, was, is)
		}
	}
	metrics := rig.Metrics(t, address)
	for _, result := range []string{"ok", "error"} {
		if got := metrics[fmt.Sprintf("helo_milter_reloads_total{result=%q}", result)]; got != float64(reloads/2) {
			t.Errorf("%v reloads of result %s, not %d", got, result, reloads/2)
		}
	}
}

// size has the minimum of each figure measured: what remains after garbage collection.
type size map[string]float64

func (s size) add(t *testing.T, m *rig.Milter, address string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(m.Pid()), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]float64{
		"VmRSS": m.Memory(t, "VmRSS"), "files": float64(len(files)),
		"goroutines": rig.Metrics(t, address)["go_goroutines"],
	} {
		if _, ok := s[name]; !ok {
			s[name] = math.Inf(1)
		}
		s[name] = min(s[name], value)
	}
}
