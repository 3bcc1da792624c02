package clean

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"helo-milter/checks/checkstest"
)

func TestMedia(t *testing.T) {
	quoted := func(text string) string { return Quoted(text, 20) }
	for _, tt := range []struct {
		medium     func(string) string
		text, want string
	}{
		{Reply, `a "b" \c`, "a ?b? ?c"},
		{Reply, "ü\r\n250 Ok", "????250 Ok"},
		{Reply, strings.Repeat("ä", 60), strings.Repeat("?", 100)},
		{Token, "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"},
		{Token, "a_b-c.example.org; iprev=pass (d)\r\n", "a_b-c.example.org??iprev?pass??d???"},
		{Log, "bücher\x7f\u202e\xff\ufffd\n", "bücher?????"},
		{JSON, `"a` + "\x7f\u009b\u202e\U000e0041" + `"`, `"a\u007f\u009b\u202e\udb40\udc41"`},
		{Terminal, `"bücher"\` + "\x1b\u202e\xff", `"bücher"\\x1b\u202e` + "\ufffd"},
		{quoted, "", `""`},
		{quoted, "mail.example.org", `"mail.example.org"`},
		{quoted, "a\u202eb\x1b", `"a\u202eb\x1b"`},
		{quoted, "a\xff", `"a\xff"`},
		{quoted, strings.Repeat("ä", 20), `"` + strings.Repeat("ä", 20) + `"`},
		{quoted, strings.Repeat("ä", 21), `"` + strings.Repeat("ä", 20) + `"…`},
		{Cell, strings.Repeat("ä", 65), `"` + strings.Repeat("ä", 64) + `"`},
		{Report, "a\x1b[2J\u202eb\xff", "a?[2J?b?"},
		{Report, strings.Repeat("a", 65), strings.Repeat("a", 62) + ".."},
		{Report, strings.Repeat("ü", 65), strings.Repeat("?", 62) + ".."},
		{Report, strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{Field, "ü\x1b" + strings.Repeat("a", 300), `"\u00fc\x1b` + strings.Repeat("a", 247) + `"`},
		{Name, "Ü\t\xff.example.org", "???.example.org"},
		{func(text string) string { return Text(text, 6) }, "abcdü\xff", "abcdü"},
		{func(text string) string { return Text(text, 5) }, "abcdü", "abcd?"},
		{func(text string) string { return Text(text, Whole) }, "a\xfe\xff\r\nb", "a?\r\nb"},
	} {
		if got := tt.medium(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// What may come out of a medium.
var (
	ascii     = regexp.MustCompile(`^[ -~]*$`)
	quotable  = regexp.MustCompile(`^[ !#-\[\]-~]*$`)
	token     = regexp.MustCompile(`^[A-Za-z0-9.:\[\]_?-]*$`)
	printable = regexp.MustCompile(`^[\pL\pM\pN\pP\pS ]*$`)
	logged    = regexp.MustCompile(`^(?:[\pL\pM\pN\pP ]|[^\PS\x{fffd}])*$`)
	anything  = regexp.MustCompile(``)
)

// FuzzMedia checks what each medium promises, whatever goes in.
func FuzzMedia(f *testing.F) {
	for _, text := range checkstest.Hostile(f) {
		f.Add(text, uint8(20))
	}
	f.Fuzz(func(t *testing.T, text string, limit uint8) {
		masks(t, text, int(limit))
		quotes(t, text, int(limit))
		escapes(t, text)
	})
}

// masks checks the media that replace what is not fit. What is fit stays as it is.
func masks(t *testing.T, text string, limit int) {
	t.Helper()
	for _, m := range []struct {
		name   string
		medium func(string) string
		only   *regexp.Regexp
		bound  int // in bytes
	}{
		{"Reply", Reply, quotable, 100},
		{"Token", Token, token, 255},
		{"Log", Log, logged, 4096},
		{"Terminal", Terminal, printable, Whole},
		{"Report", Report, ascii, 64},
		{"Name", Name, ascii, Whole},
		{"Text", func(text string) string { return Text(text, limit) }, anything, limit},
		{"whole Text", func(text string) string { return Text(text, Whole) }, anything, Whole},
	} {
		fit := func(text string) bool {
			return utf8.ValidString(text) && len(text) <= m.bound && m.only.MatchString(text)
		}
		got := m.medium(text)
		if !fit(got) || fit(text) && got != text || m.medium(got) != got {
			t.Errorf("%q: %s: %q", text, m.name, got)
		}
	}
}

// quotes checks the media that put text between quotes: it can be read back, as far as it goes.
func quotes(t *testing.T, text string, limit int) {
	t.Helper()
	runes := []rune(text)
	bytes := func(n int) string { return text[:min(len(text), n)] }
	whole, end := text, ""
	if len(runes) > limit {
		whole, end = string(runes[:limit]), "…"
	}
	cell := text
	for i := range text {
		if utf8.RuneCountInString(text[:i]) == 64 {
			cell = text[:i]
			break
		}
	}
	for _, q := range []struct {
		name, got, end string
		only           *regexp.Regexp
		want           string
	}{
		{"Quoted", Quoted(text, limit), end, printable, whole},
		{"whole Quoted", Quoted(text, Whole), "", printable, text},
		{"Cell", Cell(text), "", printable, cell},
		{"Field", Field(text), "", ascii, bytes(250)},
	} {
		words, ended := strings.CutSuffix(q.got, q.end)
		said, err := strconv.Unquote(words)
		if err != nil || !ended || said != q.want || !q.only.MatchString(q.got) || !utf8.ValidString(q.got) {
			t.Errorf("%q: %s: %s", text, q.name, q.got)
		}
	}
}

// escapes checks that a line of JSON decodes to the same text, and is the same where it is written in one pass.
func escapes(t *testing.T, text string) {
	t.Helper()
	line, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	got := JSON(string(line))
	var want, said string
	if err := errors.Join(json.Unmarshal(line, &want), json.Unmarshal([]byte(got), &said)); err != nil {
		t.Fatalf("%q: JSON: %q: %v", text, got, err)
	}
	if said != want || JSON(got) != got || !printable.MatchString(got) || !utf8.ValidString(got) {
		t.Errorf("%q: JSON: %q", text, got)
	}
	if appended := string(AppendJSON([]byte("a"), text)); appended != "a"+got {
		t.Errorf("%q: AppendJSON: %q, and JSON: %q", text, appended, got)
	}
}
