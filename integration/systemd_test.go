package integration

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// systemd accepts the units without a warning, and rates the exposure of the service at no more than 1.5
// of 10.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../examples/systemd/helo-milter.s[eo]*")
	if err != nil || len(units) != 2 {
		t.Fatalf("units: %v, %v", units, err)
	}
	dir := t.TempDir()
	for i, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		units[i] = filepath.Join(dir, filepath.Base(unit))
		if strings.HasSuffix(unit, ".socket") && !strings.Contains(string(text), "ListenStream="+unitSocket+"\n") {
			t.Errorf("%s does not listen at %s, the socket in sendmail/tempfail.mc", unit, unitSocket)
		}
		here := strings.ReplaceAll(string(text), "/usr/sbin/helo-milter", rig.Binary())
		if err := os.WriteFile(units[i], []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		append([]string{"verify"}, units...),
		{"security", "--offline=true", "--threshold=15", filepath.Join(dir, "helo-milter.service")},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// rigUnits are what the rig adds to the units: systemd kills a program for a system call that its filter
// does not have, instead of an error that it may ignore; the log is a file, since there is no journal; and
// the watchdog need not be waited for. Nor is the rig's Postfix in the group helo-milter: it is Postfix's
// group that has the sockets.
var rigUnits = map[string]string{
	"/run/units/helo-milter.service.d/rig.conf": "[Service]\nSystemCallErrorNumber=\nWatchdogSec=3\n" +
		"StandardError=append:/var/log/stderr\nSupplementaryGroups=postfix\n",
	"/run/units/helo-milter.socket.d/rig.conf": "[Socket]\nSocketGroup=postfix\n",
}

const records = "var/log/helo-milter/decisions.jsonl"

const sandboxed = `listen = ["unix:/run/helo-milter/milter.sock", "inet:127.0.0.1:%[1]d", "inet6:[::1]:%[1]d"]
socket_group = "postfix"
decision_log = "/var/log/helo-milter/decisions.jsonl"
[http]
listen = "127.0.0.1:%[2]d"
`

// The units work as they are shipped, under a real systemd that enforces their sandbox: a message is
// judged through the daemon's own socket, of the group that its configuration says, and after a reload
// through systemd's.
func TestSandbox(t *testing.T) {
	t.Parallel()
	http := rig.FreePort()
	systemd := startUnits(t, http)
	sink := rig.StartSink(t)
	postfix := rig.StartPostfix(t, sink, "milter_default_action = tempfail",
		"smtpd_milters = unix:"+systemd.Path("run/helo-milter/milter.sock"),
		"{mx}:2525 inet n - n - - smtpd -o smtpd_milters=unix:"+systemd.Path(unitSocket))
	judge := func(port string) {
		t.Helper()
		if got := sendExample(t, postfix, sink, port, good, greeting); got != judged {
			t.Errorf("port %s: got %q, want %q\n%s", port, got, judged, postfix.Log())
		}
	}
	systemd.Run(t, "systemctl", "start", "helo-milter.service")
	checkConfined(t, systemd)
	judge("25")
	if start := rig.Metrics(t, fmt.Sprintf("127.0.0.1:%d", http))["process_start_time_seconds"]; start == 0 {
		t.Error("/metrics does not have the time of its start: alerts on restarts need it")
	}
	checkWatched(t, systemd)
	checkRotates(t, systemd)

	systemd.Run(t, "systemctl", "stop", "helo-milter.service")
	systemd.Run(t, "systemctl", "start", "helo-milter.socket")
	judge("2525")
	systemd.Run(t, "systemctl", "stop", "helo-milter.service", "helo-milter.socket")
	if log, err := os.ReadFile(systemd.Path(records)); err != nil || strings.Count(string(log), "\n") != 1 {
		t.Errorf("not one decision after the reload: %v\n%s", err, log)
	}
	const ended = "Result=success\nNRestarts=0"
	if got := systemd.Run(t, "systemctl", "show", "--property=Result,NRestarts", "helo-milter"); got != ended {
		t.Errorf("it ended with %s", got)
	}
}

// startUnits starts a systemd with the program, its user and the units, /metrics on that port. In the end,
// the log of the milter must have no error.
func startUnits(t *testing.T, http uint32) *rig.Systemd {
	t.Helper()
	program, err := os.ReadFile(rig.Shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	const user = "/etc/sysusers.d/helo-milter.conf"
	files := map[string]string{
		"/usr/sbin/helo-milter":             string(program),
		"/etc/helo-milter/helo-milter.toml": fmt.Sprintf(sandboxed, rig.FreePort(), http),
		"/run/units/helo-milter.service":    example(t, "systemd/helo-milter.service"),
		"/run/units/helo-milter.socket":     example(t, "systemd/helo-milter.socket"),
		user:                                example(t, "systemd/helo-milter.sysusers"),
	}
	maps.Copy(files, rigUnits)
	systemd := rig.StartSystemd(t, files)
	t.Cleanup(func() {
		log, err := os.ReadFile(systemd.Path("var/log/stderr"))
		if t.Failed() || err != nil || strings.Contains(string(log), "level=ERROR") {
			t.Errorf("the log of the milter: %v\n%s", err, log)
		}
	})
	systemd.Run(t, "systemd-sysusers", user)
	return systemd
}

// checkWatched checks that the watchdog is notified.
func checkWatched(t *testing.T, systemd *rig.Systemd) {
	t.Helper()
	show := []string{"systemctl", "show", "--property=WatchdogTimestampMonotonic", "helo-milter"}
	last := systemd.Run(t, show...)
	rig.Eventually(t, func() error {
		if systemd.Run(t, show...) == last {
			return fmt.Errorf("no notification of the watchdog since %s", last)
		}
		return nil
	})
}

// checkRotates checks that a reload opens the decision log again, as logrotate needs it.
func checkRotates(t *testing.T, systemd *rig.Systemd) {
	t.Helper()
	if err := os.Rename(systemd.Path(records), systemd.Path(records+".1")); err != nil {
		t.Fatal(err)
	}
	systemd.Run(t, "systemctl", "reload", "helo-milter.service")
	rig.Eventually(t, func() error {
		_, err := os.Stat(systemd.Path(records))
		return err
	})
}

// checkConfined checks that the kernel enforces what the unit says, since systemd leaves out silently what
// it cannot set up.
func checkConfined(t *testing.T, systemd *rig.Systemd) {
	t.Helper()
	pid := systemd.Run(t, "systemctl", "show", "--property=MainPID", "--value", "helo-milter")
	status := systemd.Run(t, "cat", "/proc/"+pid+"/status")
	for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"} {
		if !strings.Contains(status, line+"\n") {
			t.Errorf("%q is not in\n%s", line, status)
		}
	}
	const write = `for dir in etc usr var/lib; do ! nsenter -t "$0" -m touch "/$dir/new" || exit 1; done`
	systemd.Run(t, "sh", "-c", write, pid)
}
