package enum_test

import (
	"testing"

	"helo-milter/checks/enum"
)

type size uint8

const (
	medium size = iota
	small
	none
)

var sizes = enum.Words[size]{{small, "small"}, {medium, "medium"}}

func TestWords(t *testing.T) {
	for want, text := range []string{medium: "medium", small: "small"} {
		got := none
		if err := sizes.Unmarshal(&got, []byte(text)); err != nil || got != size(want) {
			t.Errorf("%s is %d, %v", text, got, err)
		}
		if back, err := sizes.Marshal(got); err != nil || string(back) != text || sizes.Text(got) != text {
			t.Errorf("%d is %q, %v", got, back, err)
		}
	}
	for text, want := range map[string]string{
		"Small": `"Small" is none of small, medium`,
		"":      `"" is none of small, medium`,
	} {
		got := none
		if err := sizes.Unmarshal(&got, []byte(text)); err == nil || err.Error() != want || got != none {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if text, err := sizes.Marshal(none); err == nil || err.Error() != "no text for value 2" {
		t.Errorf("a value without a text is %q, %v", text, err)
	}
}
