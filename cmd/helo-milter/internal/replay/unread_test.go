package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/past"
)

// What could not be read is listed by form, the most frequent first; ten forms are shown, and a thousand held.
func TestUnread(t *testing.T) {
	u := &Unread{}
	for n := range 2000 {
		u.add(&past.Broken{Reason: "unknown form", Text: "from " + strings.Repeat("(", n%100) + " friend"})
		u.add(&past.Broken{Reason: fmt.Sprint("reason ", n)})
		u.add(&past.Broken{Reason: "unknown form", Text: fmt.Sprintf("from mail%d.example.org (192.0.2.%d)", n, n%256)})
	}
	u.add(errors.New("no such file"))
	got := &strings.Builder{}
	u.Print(got)
	lines := strings.SplitAfter(got.String(), "\n")
	const first, second = "   2000  unknown form: from <name> (<ip>)\n", "     20  unknown form: from ( <name>\n"
	if len(u.forms) != maxForms || u.Items != 6001 || len(lines) != shownForms+2 || lines[0] != first ||
		lines[1] != second || lines[shownForms] != "   3820  of other forms\n" {
		t.Errorf("%d forms of %d items\n%s", len(u.forms), u.Items, got)
	}
}
