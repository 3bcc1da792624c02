// Package past reads mail that has been: what a host wrote down of the clients that handed it over, in its
// log or in the Received fields of what it delivered. Everything in there is text from the network.
package past

import (
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Hop is the hand-over of a message, or the attempt, as the receiving host recorded it. A field that it did
// not record is zero: unknown, which is never the same as missing.
type Hop struct {
	checks.Recorded
	Place   string    // FILE:LINE, or the file of a message
	Time    time.Time // when the host wrote it
	By      string    // the receiving host's name, in canonical form
	From    string
	To      []string
	QueueID string
	Spam    Label
}

// Label is what somebody else thought of a message.
type Label uint8

// The labels.
const (
	Unlabelled Label = iota
	Ham
	Spam
)

// Broken is a part of a source that should have been a hop, or a decision, and cannot be read. The rest of
// the source can.
type Broken struct {
	Place  string // FILE:LINE
	Reason string
}

func (b *Broken) Error() string { return b.Place + ": " + b.Reason }

// tidy makes text from the network fit to be handed on. Names become printable ASCII, so that they can be
// shown as they are: a name with anything else is no host name before and after. The rest, which is quoted
// wherever it is shown, becomes UTF-8, for JSON.
func (h *Hop) tidy() {
	for _, name := range []*string{&h.By, &h.Name, &h.QueueID} {
		*name = clean.Name(*name)
	}
	for _, text := range []*string{&h.Helo, &h.From} {
		*text = clean.Text(*text, clean.Whole)
	}
	for i, to := range h.To {
		h.To[i] = clean.Text(to, clean.Whole)
	}
}

func (l Label) String() string { return [...]string{"", "ham", "spam"}[l] }
