package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// T is the part of testing.TB that the rig needs, so that programs can use it as well.
type T interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// WaitTimeout bounds every wait for a condition in tests that are not about time: far more than a busy
// machine needs.
const WaitTimeout = 3 * time.Minute

// StopTimeout bounds the time that a program with nothing to wait for takes to end, on a machine at a quarter
// of the speed.
const StopTimeout = 4 * 10 * time.Second

// process is a program that the rig started. Its output goes to a file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

func start(dir, name string, args ...string) (*process, error) {
	return startWith(nil, dir, name, args...)
}

// startWith is start with additional environment variables.
func startWith(env []string, dir, name string, args ...string) (*process, error) {
	log := filepath.Join(dir, filepath.Base(name)+".log")
	file, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, file, file
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop sends SIGTERM and waits for the end; a failure exit is an error.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(StopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("did not end %v after SIGTERM", StopTimeout)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("ended with %v", p.cmd.ProcessState)
	}
	return nil
}

// running returns an error once the process has ended.
func (p *process) running() error {
	select {
	case <-p.done:
		return fmt.Errorf("ended with %v", p.cmd.ProcessState)
	default:
		return nil
	}
}

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// within repeats try until it succeeds, or until WaitTimeout, and returns its last error.
func within(try func() error) error {
	deadline := time.Now().Add(WaitTimeout)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}

// workDir makes a temporary directory that every user may search. It is removed at the end of the test.
func workDir(t T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
