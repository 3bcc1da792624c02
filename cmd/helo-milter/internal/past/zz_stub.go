package past

import (
	"io"
	"iter"
	"time"
)

func Mbox(name string, r io.Reader, trusted string) iter.Seq2[Hop, error] {
	return func(func(Hop, error) bool) {}
}

func Message(name string, r io.Reader, trusted string) iter.Seq2[Hop, error] {
	return func(func(Hop, error) bool) {}
}

func Log(name string, r io.Reader, now time.Time) iter.Seq2[Hop, error] {
	return func(func(Hop, error) bool) {}
}
