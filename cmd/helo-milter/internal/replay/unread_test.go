package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/past"
)

// What could not be read is listed by form, the most frequent first; ten forms are shown, and 1000 held.
func TestUnread(t *testing.T) {
	u := &Unread{}
	for n := range 2000 {
		u.add(&past.Broken{Reason: "not trusted", Text: "--trusted mx", Trust: "mx"})
		u.add(&past.Broken{Reason: "not trusted", Text: "--trusted mx", Trust: fmt.Sprint("mx", n)})
	}
	for n := range 2000 {
		u.add(&past.Broken{Reason: "unknown form", Text: "from " + strings.Repeat("(", n%100) + " friend"})
		u.add(&past.Broken{Reason: fmt.Sprint("reason ", n)})
		from := fmt.Sprintf("from mail%d.example.org (192.0.2.%d)", n, n%256)
		u.add(&past.Broken{Reason: "unknown form", Text: from})
	}
	u.add(errors.New("no such file"))
	got := &strings.Builder{}
	u.Print(got)
	lines := strings.SplitAfter(got.String(), "\n")
	const first = "   4000  not trusted: --trusted <name>\n"
	const second = "   2000  unknown form: from <name> (<ip>)\n"
	const last = "To read 2000 of them, give --trusted mx, if that is yours.\n"
	if len(u.forms) != maxForms || len(u.trust) != maxForms || u.Items != 10_001 || len(lines) != 15 ||
		lines[0] != first || lines[1] != second || lines[10] != "   3840  of other forms\n" ||
		lines[11] != last {
		t.Errorf("%d forms of %d items\n%s", len(u.forms), u.Items, got)
	}
}
