package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

func TestMain(m *testing.M) {
	maybeNoop()
	rig.Main(m)
}

// All programs are started and measured for a moment, and every table is whole. Times are not judged here.
func TestTables(t *testing.T) {
	tiny := plan{
		rounds: 1, round: 30 * time.Millisecond, clients: 20, situations: []situation{{"inet", 1}, {"unix", 16}},
		idle: 30, hold: 10 * time.Millisecond, cold: 2, curve: []int{10, 100}, known: []int{10, 20},
		records: 100,
	}
	rows := map[string]int{
		"console":  len(consolePages) + 9 + 3 + 5 + 3,
		"fleet":    6 + 6 + 12 + 5,
		"messages": len(tiny.situations) * len(programNames), "idle": 4, "cold": 8, "scale": len(tiny.curve) + 1 + 6 + len(tiny.known),
	}
	// What no machine's speed changes: a decision is in the stream once, and a session has two questions, of which those
	// that would be late are not asked.
	cells := map[string]string{"fleet": `\| xadd +\| 1\.00 +\| 1\.00 (?s:.*)` +
		`\| zrangebyscore +\| ([01]\.\d\d|2\.00) +\| ([01]\.\d\d|2\.00) `}
	for _, part := range parts {
		if rows[part.name] == 0 {
			continue // smtp: the stories run mail servers with every milter; soak takes minutes
		}
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			part.run(t, &out, tiny)
			n := 0
			for line := range strings.Lines(out.String()) {
				switch {
				case strings.HasPrefix(line, "| --"):
					n-- // what is above it is no row
					continue
				case strings.HasPrefix(line, "| "):
					n++
				}
				if strings.HasPrefix(line, "|  ") || strings.Contains(line, "NaN") || strings.Contains(line, "Inf") {
					t.Errorf("a bad row: %s", line)
				}
			}
			if want := cells[part.name]; !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("no %s in\n%s", want, &out)
			}
			if n != rows[part.name] {
				t.Errorf("%d rows, want %d:\n%s", n, rows[part.name], &out)
			}
		})
	}
}

// The name servers know every client both ways.
func TestClients(t *testing.T) {
	for _, p := range []pool{{}, {one: true}} {
		for _, i := range []int{0, 3, 4, 5, 1023, 1024, 999_999} {
			c := p.client(i)
			a := c.addr.As4()
			arpa := fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", a[3], a[2], a[1], a[0])
			addr, known := forward(c.helo)
			if reverse(c.addr) != c.name || !known || addr != c.addr {
				t.Errorf("client %d of %+v: %+v, reverse %q, forward %v %v", i, p, c, reverse(c.addr), addr, known)
			}
			if data, exists := lookUp(arpa, typePTR); len(data) == 0 || !exists {
				t.Errorf("%s has no name", arpa)
			}
		}
	}
	if _, exists := lookUp("mx1.sender1.com", typeA); exists {
		t.Error("client 1 is one of sender0.com")
	}
}
