package help

import (
	"time"

	"helo-milter/checks"
)

// State is all that the page of a ticket shows.
type State struct {
	Token  string // the last part of the page's address: the form posts to TOKEN/test
	Ticket *Ticket
	// Test is the record of the client by the DNS as it was at Test.Time, for the greeting that it said last: that of
	// Next, or of the ticket. It is unheard where the ticket's was cut (Ticket.Cut). nil before the first test.
	Test *checks.Record
	// Next is the record of the client's last session on this host that began after the refusal; nil before it came.
	// Of its envelope nothing is shown.
	Next *checks.Record
	Wait time.Duration // until the DNS may be asked again; 0 is now
	Busy bool          // the last request for a test was not met: too many others were tested
}
