package door

import (
	"log/slog"

	"helo-milter/checks"
	"helo-milter/checks/enum"
)

// Stage is where the verdict is given.
type Stage uint8

// The stages. What speaks against one recipient is always said at RCPT.
const (
	AtRcpt Stage = iota
	AtMail
)

var stageWords = enum.Words[Stage]{{AtMail, "mail"}, {AtRcpt, "rcpt"}}

// MarshalText implements encoding.TextMarshaler.
func (s Stage) MarshalText() ([]byte, error) { return stageWords.Marshal(s) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Stage) UnmarshalText(text []byte) error { return stageWords.Unmarshal(s, text) }

// Config is all that a session needs. It must not be modified once in use.
type Config struct {
	*checks.Judge // of its Site, the hostname is the MTA's when empty, and the MTA's addresses are added

	DNS     *checks.DNS // its timeout is that of the wait at MAIL or RCPT
	ReplyAt Stage
	Header  string // the name of the header field; "" adds none
	// AuthResults adds Authentication-Results (RFC 8601), too, and removes those that claim to be ours.
	AuthResults bool
	Log         *slog.Logger // warnings; for decisions there is Decided

	// Decided, if not nil, is called for each transaction in its session's goroutine. It must not block.
	Decided func(*checks.Decision)
	// Ended, if not nil, is called when an SMTP session has ended, with what its last decision made of the
	// client: Judged, why it was exempt (see checks.Verdict), or Undecided. It must not block.
	Ended func(class string)
	// Stripped, if not nil, is called with how many header fields that claim to be ours were taken out of a
	// message, if there were any. It must not block.
	Stripped func(fields int)
	// OnPanic, if not nil, is called for each internal error that a session survived, in the session's
	// goroutine.
	OnPanic func(value any, stack []byte)
}

// What Config.Ended is called with for clients that were not exempt.
const (
	Judged    = "judged"
	Undecided = "none" // no transaction came to a decision, or an internal error kept it from one
)
