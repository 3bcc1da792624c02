package rig

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// entry matches a line of syslog(3) as glibc sends it: priority, time, tag, process id, text.
var entry = regexp.MustCompile(`^<\d+>(.{15}) ([\w-]+)(\[\d+\]: .*)`)

// startSyslog writes what each Sendmail logs to mail.log in the directory that is its tag, in the format of
// syslogd, with "mx" as the host and "sendmail" as the tag.
func startSyslog() error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	go func() {
		for line := make([]byte, 64<<10); ; {
			n, err := conn.Read(line)
			if err != nil {
				return
			}
			part := entry.FindSubmatch(bytes.TrimRight(line[:n], "\x00\n"))
			if part == nil {
				continue
			}
			name := filepath.Join(os.TempDir(), string(part[2]), "mail.log")
			// The directory is gone if the test is over.
			if file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err == nil {
				_, _ = fmt.Fprintf(file, "%s mx sendmail%s\n", part[1], part[3])
				_ = file.Close()
			}
		}
	}()
	return nil
}

const flushed = "end of the log so far"

// flushSyslog logs a line under a tag, after everything logged before.
func flushSyslog(tag string) error {
	conn, err := net.Dial("unixgram", "/dev/log")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "<22>%s %s[0]: %s", time.Now().Format(time.Stamp), tag, flushed)
	return err
}
