package help

import (
	"fmt"
	"slices"

	"helo-milter/checks"
)

// banner is the conclusion at the top.
type banner struct {
	Badge       badge
	Title, Text string
}

// Banner is drawn from both halves: all is good only if both are.
func (v *view) Banner() banner {
	if v.Exempt && v.Next.Exempt == checks.AllowList {
		return banner{badges[green], "Accepted", "The receiving server has made an exception for this server, " +
			"and does not judge its mail any more. Send the message again. What was wrong is below: other " +
			"receivers may refuse mail for it."}
	}
	if v.Now == nil && v.Test == nil {
		return v.untested()
	}
	switch max(v.DNS.Colour, v.Helo.Colour) {
	case green:
		return banner{badges[green], "All good", "Nothing is wrong any more. Send the message again."}
	case blue:
		return banner{badges[blue], "Accepted here", "This server is not refused any more. What is left is " +
			"noted only, but other receivers may refuse mail for it."}
	case amber:
		return banner{badges[amber], "The DNS could not be asked", "Not every lookup got an answer, so it is " +
			"not known yet whether all is right. Nothing is held against this server for that. Test again in " +
			"some minutes."}
	case red:
		return banner{badges[red], "Still wrong", v.wrong()}
	}
	if v.Helo.Colour == grey && v.DNS.Colour < grey {
		return banner{badges[grey], "The DNS is right. Now the greeting", "Send any mail to us: see below what " +
			"this server says then."}
	}
	return banner{badges[grey], "One half is left to test", "See below what is not tested yet."}
}

// untested is the conclusion before anything has changed.
func (v *view) untested() banner {
	switch {
	case v.Ticket.Unsure:
		text := "A DNS lookup failed that was needed to judge this server. So its mail was not refused, but " +
			"deferred: the server tries again by itself."
		if len(v.Ticket.Rules) > 0 {
			text += " What is wrong besides is below."
		}
		return banner{badges[amber], "The DNS could not be asked", text}
	case len(v.Ticket.Rules) == 0:
		return banner{badges[green], "Nothing was wrong", "This server was judged, and no rule had anything " +
			"against it."}
	default:
		return banner{badges[red], "This is wrong", v.wrong()}
	}
}

// wrong says what decided, if it is still so, and else the worst.
func (v *view) wrong() string {
	rows := slices.Concat(v.DNS.Rows, v.Helo.Rows)
	at := 0
	for i, r := range rows {
		if r.Colour > rows[at].Colour || r.Colour == rows[at].Colour && r.Decided {
			at = i
		}
	}
	left := 0
	for _, r := range rows {
		if r.Colour == rows[at].Colour {
			left++
		}
	}
	text := sentence(rows[at].Rule.Doc)
	switch {
	case left == 2:
		text += " There is one more thing below."
	case left > 2:
		text += fmt.Sprintf(" There are %d more things below.", left-1)
	}
	return text
}
