package evidence

import (
	"testing"

	"helo-milter/checks"
)

// What only asks the help mailbox is not counted; with another recipient it is mail.
func TestAskedIsNoEvidence(t *testing.T) {
	judge := &checks.Judge{
		Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard), Mailbox: "helocheck@example.net",
	}
	tally := New(judge, make([]*checks.Action, len(checks.All)))
	for minute, rcpts := range [][]string{{"helocheck@example.net"}, {"helocheck@example.net", "b@example.net"}, {}} {
		record := refusal{9, minute}.record()
		record.RcptTo = rcpts
		tally.Add(record)
	}
	if n := tally.kinds[0].transactions; n != 2 {
		t.Errorf("%d transactions are counted, want 2", n)
	}
}
