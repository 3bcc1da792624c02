package rig

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Systemd is a systemd of its own, in the rig's network: the first process of new namespaces, with a /run,
// /var and /tmp of its own. It has no units but those that it is given, and nothing that it does stays on
// this machine.
type Systemd struct {
	dir    string
	cgroup string
	init   *exec.Cmd
	done   chan struct{}
}

// stubs are units that others depend on by default, see systemd.special(7).
var stubs = []string{"sysinit", "basic", "sockets", "shutdown", "multi-user", "network", "nss-lookup"}

// boot is a shell script that makes its process the init process of a machine: $1 is its directory.
const boot = `
mount -t proc proc /proc
for name in null zero full random urandom tty; do
	: >"$1/dev/$name"
	mount --bind "/dev/$name" "$1/dev/$name"
done
mount --rbind "$1/dev" /dev
for name in etc usr/sbin; do
	mount -t overlay -o "lowerdir=/$name,upperdir=$1/$name,workdir=$1/work/$name" overlay "/$name"
done
umount -R /sys/fs/cgroup || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$1/run" /run
mount --bind "$1/var" /var
mount --bind "$1/tmp" /tmp
export container=rig SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_LOG_TARGET=null
exec /lib/systemd/systemd --system --unit=basic.target --show-status=no`

// StartSystemd starts a systemd. files are their texts by path: units in /run/units, others in /etc or
// /usr/sbin.
func StartSystemd(t T, files map[string]string) *Systemd {
	t.Helper()
	s := &Systemd{dir: workDir(t, "systemd"), done: make(chan struct{})}
	err := s.furnish(files)
	if err == nil {
		err = s.launch()
	}
	if err != nil {
		t.Fatalf("systemd: %v", err)
	}
	t.Cleanup(s.end)
	if err := within(s.answers); err != nil {
		log, _ := os.ReadFile(s.Path("boot.log"))
		t.Fatalf("systemd: %v\n%s", err, log)
	}
	return s
}

// furnish makes its directory, which the script mounts.
func (s *Systemd) furnish(files map[string]string) error {
	for _, dir := range []string{
		"dev", "etc", "usr/sbin", "work/etc", "work/usr/sbin", "run/units", "run/none", "tmp", "var/log", "var/lib",
		"var/tmp", "cgroup",
	} {
		if err := os.MkdirAll(s.Path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("pts/ptmx", s.Path("dev/ptmx")); err != nil { // PrivateDevices= copies it
		return err
	}
	for _, name := range stubs {
		if err := s.Write("/run/units/"+name+".target", "[Unit]\nDefaultDependencies=no\n"); err != nil {
			return err
		}
	}
	for name, text := range etc { // what the rig mounts over files of /etc is not in the overlay
		if err := s.Write(name, text); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := s.Write(name, text); err != nil {
			return err
		}
	}
	return cmp.Or(os.Chmod(s.Path("tmp"), 0o777|os.ModeSticky), os.Chmod(s.Path("var/tmp"), 0o777|os.ModeSticky))
}

// launch starts it in a control group of its own, which is the root of those that it makes.
func (s *Systemd) launch() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	if err := syscall.Mount("cgroup2", s.Path("cgroup"), "cgroup2", 0, ""); err != nil {
		return err
	}
	_, path, _ := strings.Cut(string(own), "0::")
	s.cgroup = s.Path("cgroup/" + strings.TrimSpace(path) + "/" + filepath.Base(s.dir))
	if err := os.Mkdir(s.cgroup, 0o755); err != nil {
		return err
	}
	const move = `echo $$ >"$1/cgroup.procs"; exec unshare --cgroup -- sh -ec "$2" sh "$3"`
	s.init = exec.Command("sh", "-ec", move, "sh", s.cgroup, boot, s.dir)
	s.init.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS |
		syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
	log, err := os.Create(s.Path("boot.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.init.Stdout, s.init.Stderr = log, log
	if err := s.init.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.init.Wait()
		close(s.done)
	}()
	return nil
}

// answers returns an error until it has its own socket. Before that, a systemctl in its namespaces might
// find the systemd of this machine.
func (s *Systemd) answers() error {
	select {
	case <-s.done:
		return fmt.Errorf("ended with %v", s.init.ProcessState)
	default:
		_, err := os.Stat(s.Path("run/systemd/private"))
		return err
	}
}

// end kills it, and with it all that it has started.
func (s *Systemd) end() {
	_ = s.init.Process.Kill()
	<-s.done
	var groups []string
	_ = filepath.WalkDir(s.cgroup, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	for _, group := range slices.Backward(groups) {
		_ = os.Remove(group)
	}
	_ = syscall.Unmount(s.Path("cgroup"), syscall.MNT_DETACH)
}

// Path returns where the tests find a file of /run or /var.
func (s *Systemd) Path(name string) string { return filepath.Join(s.dir, name) }

// Write writes a file of /run, /var, /etc or /usr/sbin; those of /usr/sbin may be executed.
func (s *Systemd) Write(name, text string) error {
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(name, "/usr/sbin/") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(s.Path(name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.Path(name), []byte(text), mode)
}

// command returns a command that runs in its namespaces.
func (s *Systemd) command(args ...string) *exec.Cmd {
	in := []string{"--target", strconv.Itoa(s.init.Process.Pid), "--mount", "--pid", "--cgroup", "--"}
	return exec.Command("nsenter", append(in, args...)...)
}

// Run runs a command, such as systemctl, and returns its output. A failure is one of the test.
func (s *Systemd) Run(t T, args ...string) string {
	t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		status, _ := s.command("systemctl", "status", "--all", "*.service", "*.socket").CombinedOutput()
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, status)
	}
	return strings.TrimSpace(string(out))
}
