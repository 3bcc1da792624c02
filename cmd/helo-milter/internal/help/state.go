package help

import (
	"time"

	"helo-milter/checks"
)

// State is all that the page of a ticket shows.
type State struct {
	Ticket *Ticket
	// Test is the record of the client with the ticket's HELO by the DNS as it was at Test.Time; nil before the first.
	Test *checks.Record
	// Next is the record of the client's last session on this host that began after the refusal; nil before it came.
	// Of its envelope nothing is shown.
	Next *checks.Record
	Wait time.Duration // until the DNS may be asked again; 0 is now
	Busy bool          // the last request for a test was not met: too many others were tested
}
