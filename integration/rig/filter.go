package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// filterNetwork is the network of a milter that is a filter of OpenSMTPD: whatever StartMilter and Start
// do, it is smtpd that starts it and whose end is its own.
const filterNetwork = "filter"

// IsFilter reports whether it is a filter of OpenSMTPD.
func (m *Milter) IsFilter() bool { return strings.HasPrefix(m.Socket, filterNetwork+":") }

// filterScript returns the script that smtpd is to run for a socket.
func filterScript(socket string) string { return filepath.Join(filepath.Dir(socket), "filter") }

// launchFilter makes the script that smtpd is to run. What the filter says goes to the milter's log.
func (m *Milter) launchFilter() error {
	uid, gid, err := account(smtpdUser)
	if err == nil {
		err = os.Chown(m.Dir, uid, gid) // for the decision log
	}
	if err != nil {
		return err
	}
	log := filepath.Join(m.Dir, "helo-milter.log")
	script := fmt.Sprintf("#!/bin/sh\ncd %s\necho $$ >pid\nexec %s %s opensmtpd --config %s 2>>%s\n",
		m.Dir, strings.Join(m.Wrap, " "), Binary(), m.file(), log)
	m.proc = &process{log: log, done: make(chan struct{})}
	if err := os.WriteFile(log, nil, 0o666); err != nil {
		return err
	}
	_, path, _ := strings.Cut(m.Socket, ":")
	return errors.Join(os.Chmod(log, 0o666), os.WriteFile(filterScript(path), []byte(script), 0o755))
}

// process returns the process of a filter that smtpd has started.
func (m *Milter) process() (*os.Process, error) {
	if !m.IsFilter() {
		return m.proc.cmd.Process, nil
	}
	text, err := os.ReadFile(filepath.Join(m.Dir, "pid"))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	return os.FindProcess(pid)
}

// filterEnd waits for the end of a filter whose smtpd has ended.
func (m *Milter) filterEnd() error {
	return within(func() error {
		p, err := m.process()
		if err != nil || p.Signal(syscall.Signal(0)) != nil {
			return nil
		}
		return errors.New("smtpd has ended, and the filter has not")
	})
}
