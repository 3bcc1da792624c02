package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what a command wrote so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// waitFor waits until the output has a text.
func (o *output) waitFor(t *testing.T, text string) {
	t.Helper()
	o.waitTimes(t, text, 1)
}

// waitTimes waits until it has it that often.
func (o *output) waitTimes(t *testing.T, text string, times int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(o.String(), text) < times; {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", text, o)
		}
		time.Sleep(time.Millisecond)
	}
}

// A daemon is started, reloaded with good and bad configurations, and stopped.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "helo-milter.toml"), filepath.Join(dir, "sock")
	configure := func(mode, log string) {
		text := fmt.Sprintf("mode = %q\nlog = %q\nlisten = [%q, %q]\ntimeout = \"100ms\"\n"+
			"[dns]\nservers = [\"127.0.0.1:1\"]\n", mode, log, "unix:"+socket,
			"policy:unix:"+socket+"2")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("observe", "text")
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "msg=serving")

	for _, line := range []string{
		"check_policy_service { unix:" + socket + "2, ", "smtpd_milters = { unix:" + socket + ", ", "INPUT_MAIL_FILTER(`helo-milter', `S=local:" + socket,
	} {
		stdout.waitFor(t, line) // to paste; the log is written beside it
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v (%v)", info, err)
	}
	if got := greet(t, socket, "0x7f000001"); got != "250 accept" {
		t.Errorf("observing, it says %s", got)
	}
	for _, step := range []struct {
		mode, form, log, want, decision string
		times                           int
	}{
		{"enforce", "text", "msg=reloaded mode=enforce", "504 5.5.2", " want=reject did=reject ", 1},
		// A mistake changes nothing.
		{"enforced", "json", "keeping the old configuration", "504 5.5.2", " want=reject did=reject ", 2},
		{"observe", "json", `"msg":"reloaded","mode":"observe"`, "250 accept", `"want":"reject","did":"accept"`, 1},
	} {
		configure(step.mode, step.form)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		stderr.waitFor(t, step.log)
		if got := greet(t, socket, "0x7f000001"); !strings.HasPrefix(got, step.want) {
			t.Errorf("after %s it says %s", step.log, got)
		}
		stderr.waitTimes(t, step.decision, step.times)
	}
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// greet is what a client gets at RCPT.
func greet(t *testing.T, socket, helo string) string {
	t.Helper()
	s, err := gomilter.NewClient("unix", socket).Session(gomilter.NewMacroBag())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, connErr := s.Conn("client", gomilter.FamilyInet, 4711, "203.0.113.9")
	_, heloErr := s.Helo(helo)
	_, mailErr := s.Mail("a@example.org", "")
	action, rcptErr := s.Rcpt("b@example.net", "")
	if err := errors.Join(connErr, heloErr, mailErr, rcptErr); err != nil {
		t.Fatal(err)
	}
	return action.SMTPReply
}
