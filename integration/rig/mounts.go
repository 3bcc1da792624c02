package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// coverDirs makes room for two files whose paths Sendmail does not let us choose: the log socket in /dev, and
// the SASL configuration beside the plugins.
func coverDirs(run string) error {
	if err := coverDir("/dev", filepath.Join(run, "dev"), "log"); err != nil {
		return err
	}
	plugins, err := filepath.Glob("/usr/lib/*/sasl2")
	if err != nil || len(plugins) != 1 {
		return fmt.Errorf("SASL plugins: %v, %w", plugins, err)
	}
	own := filepath.Join(run, "sasl2")
	if err := coverDir(plugins[0], own, "Sendmail.conf"); err != nil {
		return err
	}
	conf := fmt.Sprintf("pwcheck_method: saslauthd\nsaslauthd_path: %s\n", saslSocket(run))
	return os.WriteFile(filepath.Join(own, "Sendmail.conf"), []byte(conf), 0o644)
}

// coverDir mounts a directory over another one, in this mount namespace only. It has links to all entries of
// the other one except the name in except.
func coverDir(dir, with, except string) error {
	old := with + ".old"
	for _, name := range []string{with, old} {
		if err := os.Mkdir(name, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount(dir, old, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("keeping %s: %w", dir, err)
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != except {
			if err := os.Symlink(filepath.Join(old, name), filepath.Join(with, name)); err != nil {
				return err
			}
		}
	}
	if err := syscall.Mount(with, dir, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("covering %s: %w", dir, err)
	}
	return nil
}
