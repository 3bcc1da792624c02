package rig

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// StartDebianExim is StartExim with the configuration that Debian's update-exim4.conf makes: from conf.d if it is
// split, or else from the template. change changes Debian's files of /etc/exim4, which are in a directory of its own: in
// a text, {etc} stands for that.
func StartDebianExim(t T, sink *Sink, split bool, change func(*DebianExim)) *Exim {
	t.Helper()
	return startExim(t, sink, func(e *Exim, _ string) (string, error) {
		return e.debianConf(sink, split, change)
	})
}

// DebianExim is /etc/exim4 of an Exim.
type DebianExim struct {
	dir string
	err error // the first one
}

// Read returns the text of a file.
func (d *DebianExim) Read(path string) string {
	text, err := os.ReadFile(filepath.Join(d.dir, path))
	d.err = cmp.Or(d.err, err)
	return string(text)
}

// Write writes a file.
func (d *DebianExim) Write(path, text string) {
	text = strings.ReplaceAll(text, "{etc}", d.dir)
	d.err = cmp.Or(d.err, os.WriteFile(filepath.Join(d.dir, path), []byte(text), 0o644))
}

// debianConf returns the configuration, for the addresses and the sink of the rig.
func (e *Exim) debianConf(sink *Sink, split bool, change func(*DebianExim)) (string, error) {
	etc := filepath.Join(e.dir, "etc")
	if err := os.CopyFS(etc, os.DirFS(eximTree+"/etc/exim4")); err != nil {
		return "", err
	}
	d := &DebianExim{dir: etc}
	local := "conf.d/main/0_rig"
	if !split {
		local = "exim4.conf.localmacros"
	}
	d.Write("update-exim4.conf.conf", fmt.Sprintf(debianAnswers, e.Addr, strings.Trim(sink.Addr, "[]"), split))
	d.Write(local, strings.NewReplacer("{dir}", e.dir, "{exim}", eximBin).Replace(debianMacros))
	d.Write("mailname", "mx.example.net\n")
	change(d)
	script, err := os.ReadFile(eximTree + "/usr/sbin/update-exim4.conf")
	if err = cmp.Or(d.err, err); err != nil {
		return "", err
	}
	here := strings.NewReplacer("/etc/exim4", etc, "/etc/mailname", filepath.Join(etc, "mailname"))
	update := exec.Command("/bin/sh", "-s", "--", "-d", etc, "-o", e.Conf())
	update.Stdin = strings.NewReader(here.Replace(string(script)))
	if out, err := update.CombinedOutput(); err != nil {
		return "", fmt.Errorf("update-exim4.conf: %w\n%s", err, out)
	}
	conf, err := os.ReadFile(e.Conf())
	// The sink is on this host, which Exim does not deliver to by SMTP unless told so.
	return strings.NewReplacer(
		"/etc/exim4", etc, "driver = manualroute", "driver = manualroute\n  self = send",
		"driver = smtp", "driver = smtp\n  allow_localhost",
	).Replace(string(conf)), err
}

const debianAnswers = `
dc_eximconfig_configtype='smarthost'
dc_other_hostnames=''
dc_local_interfaces='%s'
dc_readhost=''
dc_relay_domains='example.net : example.com'
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost='%s'
CFILEMODE='644'
dc_use_split_config='%t'
dc_hide_mailname='false'
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
`

const debianMacros = `
MAIN_HARDCODE_PRIMARY_HOSTNAME = mx.example.net
SPOOLDIR = {dir}/spool
exim_path = {exim}
log_file_path = {dir}/%slog
pid_file_path = {dir}/pid
MAIN_LOG_SELECTOR = +smtp_connection
write_rejectlog = false
deliver_drop_privilege
`
