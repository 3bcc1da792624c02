package rig

import (
	"net"
	"path/filepath"
)

// StartRspamd starts rspamd as a milter, and returns its socket in the notation of smtpd_milters. Two
// variables of the configuration are set: DBDIR, where the socket "milter" must be, and LOCAL_CONFDIR, which
// has the local.d.
func StartRspamd(t T, config, local string) (socket string) {
	t.Helper()
	config, err := filepath.Abs(config)
	if err != nil {
		t.Fatalf("rspamd: %v", err)
	}
	if local, err = filepath.Abs(local); err != nil {
		t.Fatalf("rspamd: %v", err)
	}
	dir := workDir(t, "rspamd")
	proc, err := start(dir, "rspamd", "--no-fork", "--user=nobody", "--group=nogroup", "--config="+config,
		"--var=LOCAL_CONFDIR="+local, "--var=DBDIR="+dir)
	if err != nil {
		t.Fatalf("rspamd: %v", err)
	}
	t.Cleanup(func() { _ = proc.stop() })
	path := filepath.Join(dir, "milter")
	err = within(func() error {
		if err := proc.running(); err != nil {
			return err
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("rspamd: %v\n%s", err, proc.output())
	}
	return "unix:" + path
}
