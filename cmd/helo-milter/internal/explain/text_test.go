package explain

import (
	"bytes"
	"io"
	"testing"
)

func TestParagraph(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"one two", "> one two\n"},
		{"one  two", "> one  two\n"},
		{"\tone two three four\n", "> one two\n  three four\n"},
		{"a longwordthatstayswhole b", "> a\n  longwordthatstayswhole\n  b\n"},
		{"", "> \n"},
	} {
		var out bytes.Buffer
		if Paragraph(&out, "> ", tt.text, 12); out.String() != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, out.String(), tt.want)
		}
	}
}

// Colours are for terminals: a pipe, a page and mail get plain text.
func TestColours(t *testing.T) {
	pipe := new(bytes.Buffer)
	terminal := Coloured{pipe}
	for _, tt := range []struct {
		out          io.Writer
		result, want string
	}{
		{pipe, "fail", "x"},
		{terminal, "fail", "\x1b[31mx\x1b[0m"},
		{terminal, "unsure", "\x1b[33mx\x1b[0m"},
		{terminal, "accept", "\x1b[32mx\x1b[0m"},
		{terminal, "skip", "x"},
	} {
		if got := paint(tt.out, tt.result, "x"); got != tt.want {
			t.Errorf("%s to %T: %q", tt.result, tt.out, got)
		}
	}
}
