package debian

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// trees are Debian 12 trees that integration/run makes once: see the script of that name.
const trees = "/var/cache/helo-milter-rig/debian"

// box is a Debian 12 with systemd as its init. What is done in it is gone at the end of the test.
type box struct {
	t    *testing.T
	init int // its process id
}

// boot starts a box of these layers, the last one being bare. With a network of its own it has no resolver.
func boot(t *testing.T, ownNetwork bool, layers ...string) *box {
	t.Helper()
	for i, name := range layers {
		layers[i] = filepath.Join(trees, name)
	}
	// The process ids here are those of the rig's namespace.
	dir, name := t.TempDir(), filepath.Base(os.Getenv("HELO_RIG_DIR"))+"-"+filepath.Base(layers[0])
	script, err := filepath.Abs("boot")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script, strings.Join(layers, ":"), dir, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if ownNetwork {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if err := removeCgroup(dir, name); err != nil {
			t.Error(err)
		}
	})
	b := &box{t, cmd.Process.Pid}
	resolver := "192.0.2.53" // the rig's
	if ownNetwork {
		b.network()
		resolver = "127.0.0.1"
	}
	b.wait("systemd is up", func() bool {
		state, _ := b.try("systemctl", "is-system-running")
		return state == "running\n"
	})
	b.put("/etc/resolv.conf", "nameserver "+resolver+"\n")
	return b
}

// network makes the documentation addresses those of a network of its own.
func (b *box) network() {
	b.t.Helper()
	for _, args := range []string{"link set lo up", "route add local 203.0.113.0/24 dev lo"} {
		if out, err := b.outside(append([]string{"ip"}, strings.Fields(args)...)...); err != nil {
			b.t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
}

// removeCgroup removes the control groups of a box that has ended.
func removeCgroup(dir, name string) error {
	if err := syscall.Mount("cgroup2", dir, "cgroup2", 0, ""); err != nil {
		return err
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	return exec.Command("find", filepath.Join(dir, name), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
}

// try runs a command in the box and returns its output.
func (b *box) try(args ...string) (string, error) {
	enter := []string{
		"-t", fmt.Sprint(b.init), "-m", "-p", "-i", "-u", "-n", "-C", "-r", "-w", "env", "-i",
		"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	}
	out, err := exec.Command("nsenter", append(enter, args...)...).CombinedOutput()
	return string(out), err
}

// run is try for a command of sh that must succeed.
func (b *box) run(command string) string {
	b.t.Helper()
	out, err := b.try("sh", "-c", command)
	if err != nil {
		journal, _ := b.try("journalctl", "--no-pager", "-n", "40")
		b.t.Fatalf("%s: %v\n%s\n%s", command, err, out, journal)
	}
	return out
}

// says runs a command and checks its output, without the newline at the end.
func (b *box) says(command, want string) {
	b.t.Helper()
	if got := strings.TrimSuffix(b.run(command), "\n"); got != want {
		b.t.Errorf("%s: %q, want %q", command, got, want)
	}
}

// wait waits for a condition.
func (b *box) wait(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			journal, _ := b.try("journalctl", "--no-pager", "-n", "100")
			b.t.Fatalf("not reached: %s\n%s", what, journal)
		}
	}
}

// put writes a file of the box, or copies one there.
func (b *box) put(path, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(path), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) read(path string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(path))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// path is a file of the box, seen from here. A link in it is one of the box only if it is relative.
func (b *box) path(path string) string { return fmt.Sprintf("/proc/%d/root%s", b.init, path) }

// copy copies a file of this machine into the box.
func (b *box) copy(file string) {
	b.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put("/mnt/"+filepath.Base(file), string(text))
}

// install installs a package and returns what that prints.
func (b *box) install(deb string) string {
	b.t.Helper()
	b.copy(deb)
	return b.run("dpkg --force-confdef --force-confold -i /mnt/*.deb; rm /mnt/*.deb")
}

// outside runs a program of this machine in the network of the box.
func (b *box) outside(args ...string) (string, error) {
	out, err := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(b.init), "-n"}, args...)...).CombinedOutput()
	return string(out), err
}
