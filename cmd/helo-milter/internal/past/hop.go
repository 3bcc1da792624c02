package past

import (
	"net/netip"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Hop is the hand-over of a message, or the attempt, as the receiving host recorded it. A field that was not
// recorded is zero: unknown, which is never the same as missing. Texts are from the network.
type Hop struct {
	checks.Recorded
	Place   string     // FILE:LINE, or the file of a message
	Time    time.Time  // when the host wrote it
	By      string     // the receiving host's name, in canonical form
	Local   netip.Addr // the address that its client had connected to
	From    string     // envelope sender
	To      []string
	QueueID string
	Spam    Label

	passed bool // the host took the message over from another one's store or queue: LMTP, POP3
}

// Label says whether a message is known to be ham or spam.
type Label uint8

// The labels.
const (
	Unlabelled Label = iota
	Ham
	Spam
)

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
	for i, helo := range h.Earlier {
		h.Earlier[i] = clean.Text(helo, clean.Whole)
	}
	for i, to := range h.To {
		h.To[i] = clean.Text(to, clean.Whole)
	}
}

func (l Label) String() string { return [...]string{"", "ham", "spam"}[l] }
