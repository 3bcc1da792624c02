package past

import (
	"slices"
	"strings"
)

// origin is the mail server that wrote a line.
type origin uint8

const (
	fromOther origin = iota
	fromPostfix
	fromSendmail
	fromExim
	fromExchange
)

// origin returns the mail server of an entry, by its program.
//
// Whatever syslog_name is, the name of a Postfix daemon follows the last slash, unless the log comes from
// macOS's log(1), which has only that name, or has lost it: rsyslog's %programname% is "postfix", and
// journalctl -o with-unit writes "postfix@-.service".
func (e *entry) origin() origin {
	at := strings.LastIndexByte(e.program, '/')
	switch daemon := e.program[at+1:]; daemon {
	case "smtpd", "postscreen", "cleanup", "qmgr":
		return fromPostfix
	case "smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard":
		if at >= 0 {
			return fromPostfix
		}
	default:
		switch {
		case at >= 0:
		case strings.HasPrefix(daemon, "sendmail"), strings.HasPrefix(daemon, "sm-"):
			return fromSendmail
		case strings.HasPrefix(daemon, "exim"):
			return fromExim
		case daemon == exchangeProgram:
			return fromExchange
		case daemon == "postfix", strings.HasPrefix(daemon, "postfix@"), daemon == "postfix.service":
			return fromPostfix
		}
	}
	return fromOther
}

// isOurs reports whether a line that cannot be parsed may be of a mail server, or torn JSON.
func isOurs(line string) bool { return strings.HasPrefix(line, "{\"") || quotesServer(line) }

// quotesServer reports whether a text has a part of a line of a mail server that we read.
func quotesServer(text string) bool {
	return slices.ContainsFunc(signs, func(sign string) bool {
		return strings.Contains(text, sign) || sign[0] == ' ' && strings.HasPrefix(text, sign[1:])
	})
}

// signs are parts of the lines that we read. A name of a program alone is in lines of other programs, too.
var signs = []string{
	"/smtpd[", " smtpd[", "postfix/smtpd", "/postscreen[", "/cleanup[", "/qmgr[",
	"NOQUEUE: ", " helo=<", ": client=",
	" sendmail[", " sm-mta[", " exim[", " exim4[", " rejected RCPT <", " P=esmtp", " P=smtp",
	`"facts":{"`, // of a decision log, which is read only as a file of its own
}
