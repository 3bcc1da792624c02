package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// podman runs podman in the mount namespace of a process: with its storage in /mnt, and the control groups of
// version 2 only, since crun does not cope with both.
type podman struct {
	*testing.T
	dir    string
	mounts int
}

func newPodman(t *testing.T) podman {
	t.Helper()
	dir := t.TempDir()
	const mounts = `umount -R /sys/fs/cgroup || :; mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount --bind "$0" /mnt; echo; exec sleep infinity`
	holder := exec.Command("sh", "-ec", mounts, dir)
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	ready, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
		// What podman has left running may still write there.
		for range 100 {
			if os.RemoveAll(dir) == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatalf("control groups: %v", err)
	}
	return podman{t, dir, holder.Process.Pid}
}

func (p podman) run(args ...string) (string, error) {
	own := []string{
		"--target=" + strconv.Itoa(p.mounts), "--mount", "podman",
		"--root=/mnt/root", "--runroot=/mnt/run", "--tmpdir=/mnt/tmp", // no path of more than 50 characters will do
		"--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none",
	}
	cmd := exec.Command("nsenter", append(own, args...)...)
	cmd.Env = append(os.Environ(), "DISABLE_HC_SYSTEMD=true") // health checks are the test's
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (p podman) must(args ...string) string {
	p.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.Fatalf("podman %s: %v\n%s", args[0], err, out)
	}
	return out
}

// build makes the image of examples/docker. Its first stage, which compiles, is replaced by a directory:
// podman leaves out a stage whose name is that of a build context.
func (p podman) build() {
	p.Helper()
	const certificates = "/etc/ssl/certs/ca-certificates.crt"
	dockerfile, err := filepath.Abs("../examples/docker/Dockerfile")
	if err != nil {
		p.Fatal(err)
	}
	stage := p.TempDir()
	if err := os.MkdirAll(stage+"/state/helo-milter", 0o755); err != nil {
		p.Fatal(err)
	}
	for file, from := range map[string]string{"/helo-milter": rig.Shipped(p), certificates: certificates} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(stage+file), 0o755)
		}
		if err == nil {
			err = os.WriteFile(stage+file, data, 0o755)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
	out := p.must("build", "--pull=never", "--layers=false", "--isolation=chroot", "--format=docker",
		"--build-context=build="+stage, "--file="+dockerfile, "--tag=helo-milter", p.TempDir())
	if strings.Contains(out, "RUN ") {
		p.Fatalf("it compiles:\n%s", out)
	}
}

// The container judges a message, with the example configuration, a read-only root and no capabilities, as in
// the compose files; and its health check fails while it is stopped.
func TestContainer(t *testing.T) {
	t.Parallel()
	p := newPodman(t)
	p.build()
	port, conf := fmt.Sprint(rig.FreePort()), p.dir+"/conf"
	here := strings.NewReplacer(":8891", ":"+port, ":9891", fmt.Sprint(":", rig.FreePort()),
		"10.0.0.0/8", "127.0.0.0/8")
	err := os.Mkdir(conf, 0o755)
	if err == nil {
		config := here.Replace(example(t, "docker/helo-milter.toml"))
		err = os.WriteFile(conf+"/helo-milter.toml", []byte(config), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.must("rm", "--force", "--time=0", "milter") })
	p.must("run", "--detach", "--name=milter", "--network=host", "--cgroups=disabled",
		"--ulimit=nofile=8192:8192", "--ulimit=nproc=4096:4096", "--read-only", "--cap-drop=all",
		"--security-opt=no-new-privileges", "--volume="+conf+":/etc/helo-milter:ro", "helo-milter")
	rig.Eventually(t, func() error {
		out, err := p.run("healthcheck", "run", "milter")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	sink := rig.StartSink(t)
	postfix := rig.StartPostfix(t, sink, rig.PostfixMilter("inet:127.0.0.1:"+port, "default_action=tempfail"))
	if got := sendExample(t, postfix, sink, "25", good, greeting); got != judged {
		t.Errorf("got %q, want %q\n%s%s", got, judged, postfix.Log(), p.must("logs", "milter"))
	}
	p.checkStopped()
}

// checkStopped stops the container's process and checks that it is not root, and unhealthy.
func (p podman) checkStopped() {
	p.Helper()
	pid, err := strconv.Atoi(p.must("inspect", "--format={{.State.Pid}}", "milter"))
	if err != nil || pid <= 1 {
		p.Fatalf("process %d: %v", pid, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range []string{"Uid:\t65532\t65532", "CapEff:\t0000000000000000", "Seccomp:\t2"} {
		if err != nil || !strings.Contains(string(status), line) {
			p.Errorf("%q is not in\n%s%v", line, status, err)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		p.Fatal(err)
	}
	if out, err := p.run("healthcheck", "run", "milter"); err == nil || out != "unhealthy" {
		p.Errorf("health check of a stopped daemon: %v\n%s", err, out)
	}
}
