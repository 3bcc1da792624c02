package rig

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// daemonUsers are the accounts of programs that are unpacked only: the rig has them, this machine need not.
var daemonUsers = []string{eximUser, smtpdUser, smtpdQueue}

// coverUsers adds the accounts that this machine lacks, in this mount namespace only.
func coverUsers(run string) error {
	lines := map[string]string{}
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		lines[file] = strings.TrimSuffix(string(text), "\n") + "\n"
	}
	for i, name := range daemonUsers {
		if strings.Contains("\n"+lines["/etc/passwd"], "\n"+name+":") {
			continue
		}
		id := 64100 + i // of no range that adduser(8) takes from
		lines["/etc/passwd"] += fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", name, id, id)
		lines["/etc/group"] += fmt.Sprintf("%s:x:%d:\n", name, id)
	}
	for file, text := range lines {
		if err := cover(file, filepath.Join(run, filepath.Base(file)), text); err != nil {
			return err
		}
	}
	return nil
}

// account returns the numbers of a user.
func account(name string) (uid, gid int, _ error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, cmp.Or(err1, err2)
}
