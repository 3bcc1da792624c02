package past

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"reflect"
	"strings"
	"testing"

	"helo-milter/checks"
)

// Any field yields a hop or an error, and the text of the error is printable ASCII. What is looked at before a
// regular expression, or before all forms of a date, decides as these do.
func FuzzReceived(f *testing.F) {
	for _, test := range receivedTests(f) {
		f.Add(test.field)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text := (&field{"received", []byte(value)}).text()
		for word := range words(text) {
			if strings.Trim(word, blanks) == "" {
				t.Fatalf("a word without text in %q", text)
			}
			if hidden.MatchString(word) && !holds(word, "by") || said.MatchString(word) && !holds(word, "lo") ||
				loggedIn.MatchString(word) && !strings.ContainsAny(word, "aA") {
				t.Errorf("%q is ruled out", word)
			}
		}
		for date := range strings.SplitSeq(text, ";") {
			date = strings.TrimSpace(date)
			got, err := parseDate(date)
			want, wrong := mail.ParseDate(date)
			if !got.Equal(want) || (err == nil) != (wrong == nil) {
				t.Errorf("%q is %s (%v), want %s (%v)", date, got, err, want, wrong)
			}
		}
		h, broken := parseReceived(text).hop()
		if broken != nil {
			checkReason(t, broken.Error())
			checkReason(t, broken.Form())
			return
		}
		if h.Client != h.Client.Unmap().WithZone("") {
			t.Errorf("client %s", h.Client)
		}
		if (h.Reverse == checks.ReverseUnrecorded) != (h.Name == "") {
			t.Errorf("name %q, reverse %d", h.Name, h.Reverse)
		}
		if h.Helo != "" && !h.Said {
			t.Errorf("HELO %q, but Said is false", h.Helo)
		}
		facts, again := h.Facts(checks.Site{}), new(checks.Facts)
		line, err := json.Marshal(facts)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, again); err != nil || !reflect.DeepEqual(facts, again) {
			t.Errorf("%v: %+v is %+v behind JSON", err, facts, again)
		}
	})
}

func checkReason(t *testing.T, reason string) {
	t.Helper()
	unfit := func(c rune) bool { return c < ' ' || '~' < c }
	if len(reason) > 1500 || strings.ContainsFunc(reason, unfit) {
		t.Errorf("not fit for a terminal: %q", reason)
	}
}

// Any mailbox is read to its end without an error of the reader, and every hop and error has its line.
func FuzzMbox(f *testing.F) {
	mbox, err := os.ReadFile("testdata/quoting.mbox")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(mbox), "")
	f.Add(string(mbox), ".example.net, 203.0.113.0/24")
	f.Fuzz(func(t *testing.T, mbox, trusted string) {
		last := 0
		for h, err := range Mbox("m", strings.NewReader(mbox), trusted) {
			broken := &Broken{Place: h.Place}
			if err != nil && !errors.As(err, &broken) {
				t.Fatal(err)
			}
			checkReason(t, broken.Error())
			var line int
			if _, err := fmt.Sscanf(broken.Place, "m:%d", &line); err != nil || line <= last {
				t.Errorf("place %q behind line %d", broken.Place, last)
			}
			last = line
		}
		if lines := strings.Count(mbox, "\n") + 1; last > lines {
			t.Errorf("line %d of %d", last, lines)
		}
		n := 0
		for range Message("m", strings.NewReader(mbox), trusted) {
			n++
		}
		if n != 1 {
			t.Errorf("%d hops of one message", n)
		}
	})
}
