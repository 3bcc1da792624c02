package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal returns both ends of a pseudo terminal: the program's and that of who looks at it.
func terminal(t *testing.T) (program, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return program, screen
}

// A terminal shows how much was read, and in the end no trace of that. Messages are above it.
func TestProgress(t *testing.T) {
	for _, command := range []string{"replay --recorded-dns -v -", "report -v -"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			stderr, screen := terminal(t)
			in, out := io.Pipe()
			exited := make(chan int, 1)
			go func() { exited <- run(t.Context(), strings.Fields(command), in, io.Discard, stderr) }()
			fmt.Fprintln(out, `{"v":1,"time":"2026-11-01T00:00:00Z","client":"192.0.2.1","facts":{"client":"192.0.2.1"}}`)
			shown := ""
			until := func(text string) {
				t.Helper()
				piece := make([]byte, 1000)
				for !strings.Contains(shown, text) {
					n, err := screen.Read(piece)
					if err != nil {
						t.Fatalf("%v after %q", err, shown)
					}
					shown += string(piece[:n])
				}
			}
			until("0 read, 0/s")
			fmt.Fprintln(out, `{"v":1`)
			_ = out.Close()
			if exit := <-exited; exit != exitDone {
				t.Errorf("exit %d", exit)
			}
			until("unexpected end of JSON input")
			if last := shown[strings.LastIndex(shown, " read, "):]; !strings.Contains(last, erase+"helo-milter: -:2: not a") {
				t.Errorf("%q", shown)
			}
		})
	}
}

// What is left is known by the sizes of files, unless one is unknown.
func TestProgressLine(t *testing.T) {
	p := &progress{begin: time.Now(), size: 4000}
	p.read(1000)
	for range 50 {
		p.add()
	}
	at := p.begin.Add(10 * time.Second)
	if got := p.line(at); got != "50 read, 5/s, 25 %, 30s left" {
		t.Error(got)
	}
	p.size = 0
	if got := p.line(at); got != "50 read, 5/s" {
		t.Error(got)
	}
}
