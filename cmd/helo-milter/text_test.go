package main

import (
	"bytes"
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
		if paragraph(&out, "> ", tt.text, 12); out.String() != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, out.String(), tt.want)
		}
	}
}

// A pipe gets no colours, and a terminal those of the results.
func TestColours(t *testing.T) {
	for _, tt := range []struct {
		colours      colour
		result, want string
	}{
		{false, "fail", "x"},
		{true, "fail", "\x1b[31mx\x1b[0m"},
		{true, "unsure", "\x1b[33mx\x1b[0m"},
		{true, "accept", "\x1b[32mx\x1b[0m"},
		{true, "skip", "x"},
		{colourOf(new(bytes.Buffer)), "fail", "x"},
	} {
		if got := tt.colours.paint(tt.result, "x"); got != tt.want {
			t.Errorf("%s, colours %t: %q", tt.result, tt.colours, got)
		}
	}
}
