package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a file that takes room bytes before it is full.
type disk struct {
	mu   sync.Mutex
	text []byte
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.room, len(p))
	d.room -= n
	d.text = append(d.text, p[:n]...)
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) free(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = n
}

// lines returns what is on the disk: each whole line as one letter, a partial one as its bytes.
func (d *disk) lines() string {
	lines := strings.SplitAfter(string(d.text), "\n")
	for i, line := range lines {
		if whole := strings.TrimSuffix(line, "\n"); whole != line {
			lines[i] = whole[:1]
		}
	}
	return strings.Join(lines, "")
}

// A script runs word by word: a letter writes a line of ten bytes, room=N sets the room of the disk, +1s
// waits, disk=N calls Use with another disk. The result is what is on each disk after Close, which has 5.5
// seconds, how many writes failed, and how many lines were dropped.
func TestSpool(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"a b c", "abc failed=0 dropped=0"},
		{"room=0 a b room=99 +2s c", "abc failed=1 dropped=0"},        // room again, and nothing is lost
		{"room=0 a +3s b", " failed=10 dropped=2"},                    // retried every second until Close gives up
		{"room=15 a b +2s room=99", "ab failed=3 dropped=0"},          // a partial line is continued
		{"room=0 a b disk=99 c", " abc failed=1 dropped=0"},           // lines not written go to the new file
		{"room=15 a b disk=99 c", "abbbbb bc failed=1 dropped=0"},     // a partial line is repeated as a whole
		{"a disk=99 b disk=99", "a b  failed=0 dropped=0"},            //
		{"room=0 a disk=0 disk=0 disk=99", "   a failed=3 dropped=0"}, // another file is tried at once
	} {
		synctest.Test(t, func(t *testing.T) {
			disks, failed := []*disk{{room: 99}}, 0
			s := New(disks[0], func(err error) {
				if !errors.Is(err, syscall.ENOSPC) {
					t.Error(err)
				}
				failed++
			})
			for word := range strings.FieldsSeq(tt.script) {
				verb, arg, _ := strings.Cut(word, "=")
				n, _ := strconv.Atoi(arg)
				switch verb {
				case "room":
					disks[len(disks)-1].free(n)
				case "disk":
					disks = append(disks, &disk{room: n})
					s.Use(disks[len(disks)-1])
				default:
					if pause, err := time.ParseDuration(verb); err == nil {
						time.Sleep(pause + time.Millisecond)
					} else {
						_, _ = fmt.Fprintln(s, strings.Repeat(verb, 9))
					}
				}
				synctest.Wait()
			}
			s.Close(5500 * time.Millisecond)
			synctest.Wait()
			got := ""
			for _, d := range disks {
				got += d.lines() + " "
			}
			got += fmt.Sprintf("failed=%d dropped=%d", failed, s.Dropped())
			if got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.script, got, tt.want)
			}
		})
	}
}

// A pipe without a reader does not block Write: lines that do not fit are dropped, and the others arrive
// later.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := New(pipe, func(err error) { t.Error(err) })
	const lines = 3 * limit / 1000
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	for range lines {
		_, _ = s.Write(line)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	dropped := s.Dropped()
	if dropped == 0 {
		t.Error("nothing is dropped")
	}
	for range lines - dropped {
		got := make([]byte, len(line))
		_ = reader.SetReadDeadline(time.Now().Add(time.Minute))
		for n := 0; n < len(got); {
			k, err := reader.Read(got[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if !bytes.Equal(got, line) {
			t.Fatalf("got %q", got)
		}
	}
	s.Close(time.Minute)
	if s.Dropped() != dropped {
		t.Errorf("%d lines are dropped at the end", s.Dropped()-dropped)
	}
}

// Close does not wait longer than it may for a full pipe.
func TestCloseOnPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	s := New(writer, nil)
	for range 200 {
		_, _ = s.Write(append(bytes.Repeat([]byte("x"), 999), '\n'))
	}
	s.Close(10 * time.Millisecond)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Error("the goroutine does not end")
	}
	if s.Dropped() == 0 {
		t.Error("lost lines are not counted")
	}
}

// Lines from before Use go to the old file, as logrotate expects.
func TestUse(t *testing.T) {
	old, next := &disk{room: 1 << 20}, &disk{room: 1 << 20}
	s := New(old, nil)
	for range 1000 {
		_, _ = s.Write([]byte("a\n"))
	}
	s.Use(next)
	s.Append(func(b []byte) []byte { return append(b, "b\n"...) })
	s.Close(time.Minute)
	if got := len(old.text); got != 2000 || string(next.text) != "b\n" {
		t.Errorf("%d bytes are in the old file, %q in the new one", got, next.text)
	}
}
