// Package rig builds the environment of the integration tests: a private network in which the documentation
// addresses exist, a real authoritative DNS server and a real resolver, Postfix and Sendmail instances, a
// mail sink, SMTP clients with any address, and the milter's own binary.
package rig

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The program runs three times, each run starting the next: outside as it was started, then as the init
// process of new namespaces, which reaps orphans, and then as itself, inside.
const (
	stageVar  = "HELO_RIG_STAGE"
	dirVar    = "HELO_RIG_DIR"
	milterVar = "HELO_RIG_MILTER" // outside: a milter binary to test instead of building one
	plainVar  = "HELO_RIG_PLAIN"  // the same, or empty
	asInit    = "init"
	asItself  = "inside"
)

// Enter returns inside the private network, with DNS running. Outside, it builds the milter with these flags
// of `go build`, runs this program again inside, and exits with its exit code.
func Enter(buildFlags ...string) {
	var err error
	code := 1
	switch os.Getenv(stageVar) {
	case asItself:
		if err = cmp.Or(startDNS(), startSyslog(), startSasl()); err == nil {
			return
		}
	case asInit:
		code, err = initWorld()
	default:
		code, err = outside(buildFlags)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
	}
	os.Exit(code)
}

func outside(buildFlags []string) (int, error) {
	if missing := missing(); len(missing) > 0 {
		return 1, fmt.Errorf("needs root, postfix, sendmail, exim, opensmtpd, unbound, knot: run integration/run (missing here: %s)",
			strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("", "helo-rig-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// User postfix must be able to enter.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	given := os.Getenv(milterVar)
	milter, err := filepath.Abs(given)
	if given == "" {
		milter, err = milterBinary(dir, buildFlags)
	} else {
		given = milter
	}
	if err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVar+"="+asInit, dirVar+"="+dir, milterVar+"="+milter, plainVar+"="+given)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The first process of a pid namespace takes the others with it when it dies, and dies with this thread.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 1, fmt.Errorf("in new namespaces (a container must be allowed to make them): %w", err)
}

// missing returns what this machine lacks for the rig.
func missing() (what []string) {
	if os.Geteuid() != 0 {
		return []string{"root"} // whose PATH has the rest
	}
	for _, tool := range []string{
		"ip", "unbound", "knotd", "kdig", "swaks", "miltertest", "m4", postfixMaster, sendmailBin, eximBin, smtpd,
		"opendkim", "spamassassin", "sieve-test", "rspamd", "podman",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			what = append(what, filepath.Base(tool))
		}
	}
	return what
}

func milterBinary(dir string, buildFlags []string) (string, error) {
	milter := filepath.Join(dir, "helo-milter")
	shipped := len(buildFlags) == 0
	if shipped { // what the builds of the release and of the Debian package have compiled will do
		buildFlags = []string{"-trimpath"}
	}
	args := append([]string{"build", "-buildvcs=false", "-o", milter}, buildFlags...)
	cmd := exec.Command("go", append(args, "helo-milter/cmd/helo-milter")...)
	if shipped { // static; the race detector needs cgo
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build of the milter: %w\n%s", err, out)
	}
	return milter, nil
}

// initWorld is the init process inside: it sets up the namespaces, runs the program in them and reaps
// orphans.
func initWorld() (int, error) {
	if err := furnish(os.Getenv(dirVar)); err != nil {
		return 1, fmt.Errorf("setting up the namespaces: %w", err)
	}
	os.Setenv(stageVar, asItself)
	os.Setenv("GORACE", "atexit_sleep_ms=0") // programs with the race detector sleep for a second at exit
	os.Setenv("TMPDIR", filepath.Join(os.Getenv(dirVar), "run"))
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args,
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 1, err
	}
	for {
		var status syscall.WaitStatus
		dead, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 1, err
		case dead == pid && status.Signaled():
			return 1, fmt.Errorf("ended by %v", status.Signal())
		case dead == pid:
			return status.ExitStatus(), nil
		}
	}
}

// network is the input of `ip -batch` in the empty namespace: whole networks are local, so that any of their
// addresses can be bound without being configured. The single addresses are those of real mail servers, such
// as s1.xnnd.com; traffic to them stays inside.
const network = `
link set lo up
route add local 192.0.2.0/24 dev lo
route add local 198.51.100.0/24 dev lo
route add local 203.0.113.0/24 dev lo
route add local 206.125.175.2/32 dev lo
route add local 167.89.97.77/32 dev lo
route add local 66.220.155.151/32 dev lo
route add local 203.205.221.128/32 dev lo
route add local 54.240.85.218/32 dev lo
route add local 74.125.82.182/32 dev lo
route add local 193.108.91.155/32 dev lo
route add local 220.181.17.178/32 dev lo
route add local 2001:db8::/32 dev lo
`

var etc = map[string]string{
	"/etc/resolv.conf":   "nameserver " + resolverAddr + "\noptions timeout:2 attempts:2\n",
	"/etc/hosts":         "127.0.0.1 localhost helo-milter rspamd antispam\n::1 localhost\n",
	"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
}

func furnish(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("tmpfs on %s: %w", run, err)
	}
	if err := coverDirs(run); err != nil {
		return err
	}
	for file, text := range etc {
		if err := cover(file, filepath.Join(run, filepath.Base(file)), text); err != nil {
			return err
		}
	}
	if err := coverUsers(run); err != nil {
		return err
	}
	// Containers may start without IPv6, and binding any local IPv6 address is a sysctl. Not every kernel has
	// these, so errors are ignored: what counts is whether the addresses work.
	for _, key := range []string{"conf/all/disable_ipv6", "conf/lo/disable_ipv6"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/"+key, []byte("0"), 0o644)
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/ip_nonlocal_bind", []byte("1"), 0o644)
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(network)
	if out, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %s", err, out)
	}
	return nil
}

// cover mounts a text over a file of /etc, in this mount namespace only.
func cover(file, with, text string) error {
	if err := os.WriteFile(with, []byte(text), 0o644); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	if err := syscall.Mount(with, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("covering %s: %w", file, err)
	}
	return nil
}
