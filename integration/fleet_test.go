package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// mxHost is one of a fleet: a milter behind a Postfix of its own.
type mxHost struct {
	milter  *rig.Milter
	postfix *rig.Postfix
	log     string // of its decisions
	http    string
}

// startHosts starts hosts that share a server.
func startHosts(t *testing.T, redis *rig.Redis, names ...string) (hosts []*mxHost) {
	t.Helper()
	for _, name := range names {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		h := &mxHost{log: filepath.Join(dir, "decisions.jsonl"), http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
		h.milter = rig.StartMilter(t, "unix", fmt.Sprintf(`mode = "enforce"
profile = "standard"
decision_log = %q
list_file = %q
[http]
listen = %q
console = true
[fleet]
redis = ["redis://%s"]
host = %q
`, h.log, filepath.Join(dir, "list.json"), h.http, redis.Addr, name))
		h.postfix = rig.StartPostfix(t, rig.StartSink(t), "smtpd_milters = "+h.milter.Socket)
		hosts = append(hosts, h)
	}
	return hosts
}

// command runs helo-milter with the host's configuration.
func (h *mxHost) command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(rig.Binary(), append(args, "--config", filepath.Join(h.milter.Dir, "helo-milter.toml"))...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// says is what a client that says such a HELO is told at RCPT.
func (h *mxHost) says(t *testing.T, client, helo string) string {
	t.Helper()
	addr := netip.MustParseAddr(client)
	replies := rig.Talk(t, addr, h.postfix.Endpoint(addr), "EHLO "+helo+"|MAIL FROM:<a@example.org>|RCPT TO:<reader@example.net>|QUIT", "")
	return fmt.Sprint(replies[len(replies)-2].Code)
}

// await waits until a client is told so, and returns how long that took.
func (h *mxHost) await(t *testing.T, client, helo, code string) time.Duration {
	t.Helper()
	began := time.Now()
	rig.Eventually(t, func() error {
		if got := h.says(t, client, helo); got != code {
			return fmt.Errorf("it says %s", got)
		}
		return nil
	})
	return time.Since(began)
}

// An entry that is made on one host counts on the others, whatever becomes of the server then; and a report over the fleet
// is the report over the hosts' logs.
func TestFleetOfTwo(t *testing.T) {
	t.Parallel()
	redis := rig.StartRedis(t)
	hosts := startHosts(t, redis, "mx1.example.net", "mx2.example.net")
	const client, helo = "203.0.113.99", "203.0.113.99"
	for _, h := range hosts {
		if got := h.says(t, client, helo); got != "504" {
			t.Fatalf("before, it says %s", got)
		}
	}
	t.Log(hosts[0].command(t, "allow", "add", client, "--reason", "they know", "--who", "op", "--until", "2199-12-31"))
	for _, h := range hosts {
		if took := h.await(t, client, helo, "250"); took > 10*time.Second { // 2 s, and a busy machine
			t.Errorf("it took %v", took)
		} else {
			t.Logf("after %v", took)
		}
	}
	compareReports(t, hosts)
	redis.Stop()
	hosts[1].milter.Stop(t)
	hosts[1].milter.Start(t)
	for _, h := range hosts {
		if got := h.says(t, client, helo); got != "250" {
			t.Errorf("without the server, it says %s", got)
		}
	}
	redis.Start() // empty
	rig.Eventually(t, func() error {
		if text := hosts[1].command(t, "allow", "list"); !strings.Contains(text, "they know") {
			return fmt.Errorf("the list is %s", text)
		}
		return nil
	})
	t.Log(hosts[1].command(t, "deny", "add", "mail.example.org", "--who", "op2"))
	for _, h := range hosts {
		h.await(t, "203.0.113.10", "mail.example.org", "550")
	}
	t.Log(hosts[1].command(t, "allow", "remove", client, "--who", "op2"))
	for _, h := range hosts {
		h.await(t, client, helo, "504")
	}
	t.Log(hosts[0].command(t, "allow", "list", "--changes"))
}

// compareReports compares the report over the fleet with that over the logs.
func compareReports(t *testing.T, hosts []*mxHost) {
	t.Helper()
	args := []string{"report", "--json"}
	for _, h := range hosts {
		rig.Eventually(t, func() error {
			if waiting := rig.Metrics(t, h.http)["helo_milter_fleet_spool_bytes"]; waiting > 0 {
				return fmt.Errorf("%v bytes wait", waiting)
			}
			return nil
		})
		args = append(args, h.log)
	}
	logs := hosts[0].command(t, args...)
	shared := hosts[0].command(t, "report", "--json", "fleet:")
	if logs != shared {
		t.Errorf("over the logs\n%s\nover the fleet\n%s", logs, shared)
	}
}

// fleetUser may do what a host does, and no more.
func fleetUser(t *testing.T) (name string, rights []any) {
	t.Helper()
	for line := range strings.Lines(example(t, "fleet/redis.conf")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "user" && fields[1] != "default" {
			for _, right := range fields[2:] {
				rights = append(rights, right)
			}
			return fields[1], rights
		}
	}
	t.Fatal("no user")
	return "", nil
}

// worksAt has a host share a server in all ways that there are.
func worksAt(t *testing.T, fleet string, env ...string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "decisions.jsonl")
	h := &mxHost{log: log, http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	h.milter = rig.NewMilter(t, "unix", fmt.Sprintf("decision_log = %q\n[http]\nlisten = %q\n[fleet]\nhost = \"mx1\"\n%s", log, h.http, fleet))
	h.milter.Env = env
	h.milter.Start(t)
	rig.Eventually(t, func() error {
		if m := rig.Metrics(t, h.http); m["helo_milter_fleet_up"] != 1 {
			return fmt.Errorf("the server is not there:\n%s", h.milter.Log())
		}
		return nil
	})
	for range 5 {
		if err := h.milter.Session("203.0.113.10", "mail.example.org"); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value) // for the commands
	}
	h.command(t, "allow", "add", "192.0.2.1")
	rig.Eventually(t, func() error {
		m := rig.Metrics(t, h.http)
		if m["helo_milter_list_entries"] != 1 || m["helo_milter_fleet_spool_bytes"] > 0 {
			return fmt.Errorf("%v entries, %v bytes wait", m["helo_milter_list_entries"], m["helo_milter_fleet_spool_bytes"])
		}
		return nil
	})
	if err := h.milter.Session("203.0.113.10", "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	compareReports(t, []*mxHost{h})
	for series, errors := range rig.Metrics(t, h.http) {
		if strings.HasPrefix(series, "helo_milter_fleet_errors_total") && errors > 0 {
			t.Errorf("%s is %v", series, errors)
		}
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), `"seen":{"names":1}`) {
		t.Errorf("nothing of the census is in the log: %v\n%s", err, text)
	}
}

// A server that speaks TLS, to a user with a password and no more rights than it needs.
func TestFleetSecured(t *testing.T) {
	redis, ca := rig.SecureRedis(t)
	user, rights := fleetUser(t)
	if _, err := redis.Do(append([]any{"ACL", "SETUSER", user}, rights...)...); err != nil {
		t.Fatal(err)
	}
	if _, err := redis.Do("ACL", "SETUSER", "default", "off"); err != nil {
		t.Fatal(err)
	}
	worksAt(t, fmt.Sprintf("redis = [\"rediss://%s\"]\nuser = %q\npassword_file = %q\n",
		redis.Addr, user, rig.PasswordFile(t, "PASSWORD")), "SSL_CERT_FILE="+ca)
}

// A Cluster, whose nodes have a part of the keys each.
func TestFleetCluster(t *testing.T) {
	var urls []string
	for _, addr := range rig.Cluster(t) {
		urls = append(urls, fmt.Sprintf("%q", "redis://"+addr))
	}
	worksAt(t, "redis = ["+strings.Join(urls, ", ")+"]\n")
}

// On one host the list is a file, which the daemon looks at by itself.
func TestListFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "list.json")
	h := &mxHost{http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	h.milter = rig.StartMilter(t, "unix", fmt.Sprintf("mode = \"enforce\"\nlist_file = %q\n[http]\nlisten = %q\n", file, h.http))
	h.postfix = rig.StartPostfix(t, rig.StartSink(t), "smtpd_milters = "+h.milter.Socket)
	const client, helo = "203.0.113.99", "203.0.113.99"
	h.await(t, client, helo, "504")
	h.command(t, "allow", "add", client)
	h.await(t, client, helo, "250")
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, func() error {
		if !strings.Contains(h.milter.Log(), "list: cannot be read, the list in use stays") {
			return fmt.Errorf("the log has\n%s", h.milter.Log())
		}
		return nil
	})
	if got := h.says(t, client, helo); got != "250" {
		t.Errorf("with a broken file, it says %s", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	h.await(t, client, helo, "504")
	ends := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339)
	h.command(t, "deny", "add", "mail.example.org", "--until", ends)
	h.await(t, "203.0.113.10", "mail.example.org", "550")
	h.await(t, "203.0.113.10", "mail.example.org", "250")
	// That the file has a mistake stays known when the list changes, and the rest stays as it was.
	h.milter.Configure(t, h.milter.AtSocket(fmt.Sprintf("mode = \"observed\"\nlist_file = %q\n", file)))
	h.milter.Signal(t, syscall.SIGHUP)
	const reloaded = "helo_milter_config_last_reload_successful"
	rig.Eventually(t, func() error {
		if is := rig.Metrics(t, h.http)[reloaded]; is != 0 {
			return fmt.Errorf("%s is %v", reloaded, is)
		}
		return nil
	})
	changed := fmt.Sprintf("list_file = %q\n", file)
	other := filepath.Join(dir, "commands.toml") // the commands take no file with a mistake
	if err := os.WriteFile(other, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(rig.Binary(), "allow", "add", client, "--config", other).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.await(t, client, helo, "250")
	if is := rig.Metrics(t, h.http)[reloaded]; is != 0 {
		t.Errorf("after a change of the list, %s is %v", reloaded, is)
	}
}
