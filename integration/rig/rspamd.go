package rig

import (
	"net"
	"path/filepath"
)

// StartRspamd starts rspamd as a milter and returns its socket, as smtpd_milters has it: "milter" in DBDIR, a
// variable of the configuration. LOCAL_CONFDIR, where users have their local.d, is another.
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
