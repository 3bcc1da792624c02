package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// allowed is a file with that many entries of the allow list.
func allowed(entries int, network string) []byte {
	var b strings.Builder
	for i := range entries {
		fmt.Fprintf(&b, "[[allow]]\nnetwork = %q\nname = \".a%d.example.org\"\n", network, i)
	}
	return []byte(b.String())
}

// To read a file, to check it and to print it takes memory, and with that time, in proportion to its length:
// 32,000 entries took 82 s once.
func TestLongFile(t *testing.T) {
	work := func(entries int) uint64 {
		text := allowed(entries, "192.0.2.0/24")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := Parse("test", text)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(c.Warnings()) + strings.Count(c.String(), "[[allow]]"); n != entries {
			t.Errorf("%d entries are %d", entries, n)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	const few, times = 500, 8
	if one, many := work(few), work(times*few); many > 2*times*one {
		t.Errorf("%d entries take %d bytes, %d times as many %d", few, one, times, many)
	}
}

// Of very many mistakes the first are told: each is looked for in the text.
func TestManyMistakes(t *testing.T) {
	_, err := Parse("test", allowed(1000, "192.0.2.1/24"))
	if err == nil {
		t.Fatal("it is taken")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxMistakes+1 || lines[maxMistakes] != "test: and 900 more mistakes" {
		t.Errorf("%d lines, the last is %s", len(lines), lines[len(lines)-1])
	}
}
