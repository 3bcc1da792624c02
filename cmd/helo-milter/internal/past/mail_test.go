package past

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// outcome returns what a reader yields, one line each.
func outcome(hops iter.Seq2[Hop, error]) string {
	var b strings.Builder
	for h, err := range hops {
		broken := new(Broken)
		switch {
		case errors.As(err, &broken):
			fmt.Fprintln(&b, "broken", err)
		case err != nil:
			fmt.Fprintln(&b, "error", err)
		default:
			fmt.Fprintln(&b, h.Place, h.Time.Format(time.RFC3339), mailHop(h))
		}
	}
	return b.String()
}

// Lines that separate the messages of a mailbox, and lines that only look so.
func TestMbox(t *testing.T) {
	mbox, err := os.ReadFile("testdata/quoting.mbox")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/quoting.want")
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"\n", "\r\n"} {
		r := strings.NewReader(strings.ReplaceAll(string(mbox), "\n", end))
		if got := outcome(Mbox("m", iotest.OneByteReader(r), "")); got != string(want) {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

const (
	hopped  = "from friend (unknown [203.0.113.9]) by mx.example.net (Postfix) with ESMTP id 1"
	hop     = `m 0001-01-01T00:00:00Z 203.0.113.9 "friend" unrecorded by=mx.example.net id=1`
	nothing = "broken m: no Received field of a trusted host"
	from    = "From a@example.org Fri May 22 08:00:00 2026\n"
)

func TestMessage(t *testing.T) {
	long := strings.Repeat("a", 10<<20)
	for _, test := range []struct{ name, message, want string }{
		{"plain", "Received: " + hopped + "\n\nReceived: by nobody\n", hop},
		{"no body", "Received: " + hopped, hop},
		{"separator", from + "Received: " + hopped, hop},
		{"no blank line", "Received: " + hopped + "\nHello,\n: I\nam\n", hop},
		{"blank line first", "\nReceived: " + hopped, nothing},
		{"folded first", " Received: x\nreceived:" + hopped, hop},
		{"empty", "", nothing},
		{"CR only", "Subject: x\rReceived: " + hopped + "\r\rHello\r", nothing},
		{
			"NUL", "X-\x00: \x00\nReceived: from \x00 (unknown [203.0.113.9]) by mx.example.net (Postfix)\n",
			`m 0001-01-01T00:00:00Z 203.0.113.9 "\x00" unrecorded by=mx.example.net`,
		},
		{"long line below", "Received: " + hopped + "\nX: " + long + "\nReceived: x\n", hop},
		{"long line above", "X: " + long + "\nReceived: " + hopped, hop},
		{"long fold", "Received: " + hopped + "\n " + long, hop},
		{"long header", strings.Repeat("X: a\n", 1<<20) + "Received: " + hopped, nothing},
		{"many folds", "Received: " + hopped + " (" + strings.Repeat("\n a", 1<<20), hop},
		{
			"many fields", strings.Repeat("Received: by mx.example.net\n", 1<<20) + "Received: " + hopped,
			`m 0001-01-01T00:00:00Z none unheard unrecorded by=mx.example.net`,
		},
		{"bidi", "Received: from \u202e by \u202e\n", `broken m: unknown form of client in Received: "from \u202e by \u202e"`},
		{"terminal", "Received: from \x1b[J\x9b by a\n", `broken m: unknown form of client in Received: "from \x1b[J? by a"`},
	} {
		got := outcome(Message("m", strings.NewReader(test.message), ""))
		if got != test.want+"\n" {
			t.Errorf("%s\ngot:  %.200s\nwant: %s", test.name, got, test.want)
		}
	}
}

// The memory for a message is bounded by maxHeaderLine and maxHeader, whatever its size.
func TestMboxMemory(t *testing.T) {
	const messages, size, limit = 2, 8 << 20, 4 << 20
	header := from + "Received: " + hopped + "\n" + strings.Repeat("Received: by mx.example.net\n", size/28)
	message := header + "\n" + strings.Repeat("a", size) + "\n" + strings.Repeat("a\n", size/2)
	parts := make([]io.Reader, messages)
	for i := range parts {
		parts[i] = strings.NewReader(message)
	}
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	count := 0
	for _, err := range Mbox("m", io.MultiReader(parts...), "") {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	runtime.ReadMemStats(&now)
	if took := (now.TotalAlloc - before.TotalAlloc) / messages; count != messages || took > limit {
		t.Errorf("%d messages of %d, %d bytes each", count, messages, took)
	}
}

// A read error is reported and ends the reader. The message it interrupts is not yielded.
func TestReadError(t *testing.T) {
	text := from + "Received: " + hopped + "\n\n" + from + "Received: "
	cut := io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("it is on fire")))
	want := strings.Replace(hop, "m ", "m:1 ", 1) + "\nerror m:4: it is on fire\n"
	if got := outcome(Mbox("m", cut, "")); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	cut = io.MultiReader(strings.NewReader("Received: "), iotest.ErrReader(errors.New("it is on fire")))
	if got := outcome(Message("m", cut, "")); got != "error m: it is on fire\n" {
		t.Error(got)
	}
}

func TestMboxBreak(t *testing.T) {
	text := strings.Repeat(from+"Received: "+hopped+"\n\n", 3)
	for h := range Mbox("m", strings.NewReader(text), "") {
		if h.Place != "m:1" {
			t.Error("it goes on at", h.Place)
		}
		break
	}
}
