package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// reload makes the milter read a configuration and waits until it has logged a result.
func reload(t *testing.T, m *rig.Milter, result, config string) {
	t.Helper()
	times := strings.Count(m.Log(), result)
	m.Configure(t, config)
	m.Signal(t, syscall.SIGHUP)
	awaitLog(t, m, result, times+1)
}

const (
	reloaded = "msg=reloaded"
	failed   = `msg="reload failed, keeping the old configuration"`
)

// A new configuration applies to new sessions at once, and open sessions keep theirs. The client gives
// another host's name in HELO.
func TestReload(t *testing.T) {
	t.Parallel()
	const helo = "host.example.com"
	m := rig.StartMilter(t, "unix", "")
	previous := "accept"
	for _, step := range []struct{ config, want string }{
		{`mode = "enforce"`, "accept"},
		{"mode = \"enforce\"\n[rules]\nhelo-unverified = \"reject\"", "550 5.7.1"},
		{"mode = \"observe\"\n[rules]\nhelo-unverified = \"reject\"", "accept"},
		{"mode = \"enforce\"\n[[deny]]\nhelo = \".example.com\"", "550 5.7.1"},
		{"mode = \"enforce\"\n[[deny]]\nhelo = \".example.com\"\n[[allow]]\nname = \".example.org\"", "accept"},
		{"mode = \"enforce\"\nprofile = \"standard\"\n[lists]\ndomain = [\"dbl.example\"]", "554 5.7.1"},
		{"mode = \"enforce\"\n[rules]\nhelo-ip-mismatch = \"tempfail\"", "450 4.7.1"},
		{`mode = "enforce"`, "accept"},
	} {
		running, err := begin(m.Socket, helo)
		if err != nil {
			t.Fatal(err)
		}
		before := running.rcpt("sender@example.org") // CONNECT and HELO are not answered: they may still be unread
		if err := running.Abort(nil); err != nil {
			t.Fatal(err)
		}
		reload(t, m, reloaded, fmt.Sprintf("listen = [%q]\n%s", m.Socket, step.config))
		if got := running.rcpt("sender@example.org"); got != before || !strings.HasPrefix(got, previous) {
			t.Errorf("a session from before %q: %s, then %s instead of %s", step.config, before, got, previous)
		}
		_ = running.Close()
		if got := verdict(m.Socket, helo); !strings.HasPrefix(got, step.want) {
			t.Errorf("%q: %s instead of %s", step.config, got, step.want)
		}
		previous = step.want
	}
}

// A configuration with a mistake changes nothing, and the log has the position of the mistake.
func TestReloadMistakes(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	other := filepath.Join(m.Dir, "other")
	good := fmt.Sprintf("listen = [%q]\nmode = \"enforce\"\n[[deny]]\nhelo = \".example.org\"", m.Socket)
	m.Configure(t, good)
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(m.Dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("OTHER", "unix:"+other, "TAKEN", taken.Addr().String(), "FILE", file,
		"HERE", m.Socket)
	for _, bad := range []struct{ config, says string }{
		{"listen = [\"OTHER\"]\nmode = \"observe", `helo-milter\.toml:2:\d+: `},
		{"listen = [\"OTHER\"]\nmodes = \"observe\"", `helo-milter\.toml:2:1: modes: unknown key`},
		{"listen = [\"OTHER\"]\nmode = \"observed\"", `helo-milter\.toml:2:\d+: mode: `},
		{"listen = [\"OTHER\"]\n[[deny]]\nhelo = \"/(/\"", `helo-milter\.toml:\d+:\d+: `},
		{`listen = ["OTHER", "inet:127.0.0.1:0"]`, `helo-milter\.toml:1:\d+: listen: `},
		{`listen = ["OTHER", "inet:198.51.100.9:8891"]`, `helo-milter\.toml:1:\d+: .*limits\.peers`},
		{`listen = ["OTHER", "inet:TAKEN"]`, `helo-milter\.toml:1:\d+: listen: .*TAKEN.*in use`},
		{`listen = ["OTHER", "unix:FILE"]`, `FILE`},
		{"listen = [\"OTHER\"]\nsocket_group = \"nobody-knows\"", `helo-milter\.toml:2:\d+: .*nobody-knows`},
		{"listen = [\"HERE\"]\nsocket_group = \"nobody-knows\"", `helo-milter\.toml:2:\d+: .*nobody-knows`},
		{"listen = [\"OTHER\"]\ndecision_log = \"FILE/log\"", `helo-milter\.toml:2:\d+: decision_log: .*FILE/log`},
		{"listen = [\"OTHER\"]\n[http]\nlisten = \"TAKEN\"", `helo-milter\.toml:3:\d+: http\.listen: .*TAKEN`},
	} {
		mark := len(m.Log())
		reload(t, m, failed, names.Replace(bad.config))
		log := m.Log()[mark:]
		if !regexp.MustCompile(names.Replace(bad.says)).MatchString(log) {
			t.Errorf("%s: it logs %s", bad.config, log)
		}
		if got := verdict(m.Socket, "mail.example.org"); !strings.HasPrefix(got, "550 5.7.1") {
			t.Errorf("%s: a denied client: %s", bad.config, got)
		}
		if _, err := os.Lstat(other); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the other socket: %v", bad.config, err)
		}
	}
	reload(t, m, reloaded, good)
}

// Listeners are opened and closed with the configuration. Those that stay are never closed, and sessions of a
// closed listener go on.
func TestReloadListeners(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, network, "")
			removed := fmt.Sprintf("inet:127.0.0.1:%d", rig.FreePort())
			added := fmt.Sprintf("inet:127.0.0.1:%d", rig.FreePort())
			if network == "unix" {
				removed, added = "unix:"+filepath.Join(m.Dir, "removed"), "unix:"+filepath.Join(m.Dir, "added")
			}
			before := fmt.Sprintf("listen = [%q, %q]", removed, m.Socket)
			after := fmt.Sprintf("listen = [%q, %q]", m.Socket, added)
			m.Configure(t, before)
			m.Start(t)
			awaitLog(t, m, "msg=serving", 1)
			stop := keepConnecting(t, m.Socket)
			for range 10 {
				running, err := begin(removed, "mail.example.org")
				if err != nil {
					t.Fatal(err)
				}
				reload(t, m, reloaded, after)
				awaitRefusal(t, removed)
				checkServes(t, added)
				if err := running.message("sender@example.org"); err != nil {
					t.Errorf("a session of the closed socket: %v", err)
				}
				_ = running.Close()
				reload(t, m, reloaded, before)
				awaitRefusal(t, added)
				checkServes(t, removed)
			}
			stop()
		})
	}
}

// keepConnecting runs one session after another at a socket, none of which may fail.
func keepConnecting(t *testing.T, socket string) (stop func()) {
	var stopped atomic.Bool
	var served atomic.Int64
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			for !stopped.Load() {
				s, err := begin(socket, "mail.example.org")
				if err == nil {
					err = s.message("sender@example.org")
					_ = s.Close()
				}
				if err != nil {
					t.Errorf("a session was lost: %v", err)
					return
				}
				served.Add(1)
			}
		})
	}
	return func() {
		stopped.Store(true)
		running.Wait()
		t.Logf("%d sessions", served.Load())
	}
}

// /metrics moves to another address, and its counters go on.
func TestReloadHTTP(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	address := func() string { return fmt.Sprintf("127.0.0.1:%d", rig.FreePort()) }
	config := func(http string) string {
		return fmt.Sprintf("listen = [%q]\n[http]\nlisten = %q", m.Socket, http)
	}
	const decisions = `helo_milter_decisions_total{did="accept",want="accept"}`
	old := address()
	m.Configure(t, config(old))
	m.Start(t)
	for n := range 3 {
		checkServes(t, m.Socket)
		rig.Eventually(t, func() error {
			if got := rig.Metrics(t, old)[decisions]; got != float64(n+1) {
				return fmt.Errorf("%v decisions were counted, not %d", got, n+1)
			}
			return nil
		})
		next := address()
		reload(t, m, reloaded, config(next))
		if resp, err := http.Get("http://" + old + "/metrics"); err == nil {
			t.Errorf("%s still answers %s (%v)", old, resp.Status, resp.Body.Close())
		}
		old = next
	}
	reload(t, m, reloaded, config(""))
	awaitRefusal(t, "inet:"+old)
}

// As with logrotate, the decision log is renamed and the milter reloaded. Each record is in exactly one file:
// those from before the reload in the old one, those from after it in the new one.
func TestReloadDecisionLog(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	file := filepath.Join(m.Dir, "decisions")
	config := fmt.Sprintf("listen = [%q]\ndecision_log = %q", m.Socket, file)
	m.Configure(t, config)
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	message := func(from string) {
		s, err := begin(m.Socket, "mail.example.org")
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		if err := s.message(from); err != nil {
			t.Error(err)
		}
	}
	const rotations, each = 5, 100
	var running sync.WaitGroup
	running.Go(func() {
		for n := range rotations * each {
			message(fmt.Sprintf("any%d@example.org", n))
		}
	})
	for n := range rotations {
		message(fmt.Sprintf("before%d@example.org", n))
		if err := os.Rename(file, fmt.Sprintf("%s.%d", file, n)); err != nil {
			t.Fatal(err)
		}
		reload(t, m, reloaded, config)
		message(fmt.Sprintf("after%d@example.org", n))
	}
	running.Wait()
	m.Stop(t)
	in := recorded(t, file+"*")
	for n := range rotations {
		old, next := fmt.Sprintf("%s.%d", file, n), fmt.Sprintf("%s.%d", file, n+1)
		if n == rotations-1 {
			next = file
		}
		before, after := in[fmt.Sprintf("before%d@example.org", n)], in[fmt.Sprintf("after%d@example.org", n)]
		if before != old || after != next {
			t.Errorf("before rotation %d in %q, after it in %q", n, before, after)
		}
	}
	if want := rotations * (each + 2); len(in) != want {
		t.Errorf("%d of %d decisions were recorded", len(in), want)
	}
}

// recorded returns the file that has the record of each sender. None may occur twice.
func recorded(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var record struct {
				From string `json:"mail_from"`
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil || in[record.From] != "" {
				t.Errorf("%s: %v: %s", file, err, line)
			}
			in[record.From] = file
		}
	}
	return in
}
