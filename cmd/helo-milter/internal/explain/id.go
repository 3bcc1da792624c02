package explain

import (
	"regexp"
	"strings"
)

// ID returns the id in what somebody has copied of a reply, a header, a link, or a line of the log, or "". It is
// any text: what has no mark of an id is one as a whole. A HELO in it may look like an id: in a reply it stands
// before the id, and in a line of the log after it.
func ID(text string) string {
	replied, logged := repliedID.FindAllStringIndex(text, -1), loggedID.FindStringIndex(text)
	switch {
	case logged != nil && (replied == nil || !replyCode.MatchString(text)):
		text = text[logged[1]:]
	case replied != nil:
		text = text[replied[len(replied)-1][1]:]
	}
	if logged != nil || replied != nil {
		text = strings.TrimLeft(text, " \t\"")
		if end := strings.IndexAny(text, " \t\r\n;,\""); end >= 0 {
			text = text[:end]
		}
	}
	text = strings.Trim(text, " \t\r\n;.,<>\"")
	if ours := strings.ToLower(text[strings.LastIndexByte(text, '/')+1:]); sessionID.MatchString(ours) {
		return ours
	}
	return text
}

// What stands before an id: in a reply, which begins with its code, and in a header or a line of a log.
var (
	repliedID = regexp.MustCompile(`(?i)\bid:`)
	replyCode = regexp.MustCompile(`^[245][0-9]{2}[ -]`)
	loggedID  = regexp.MustCompile(`(?i)(\b|_)id(=|":)`)
)

// sessionID is what the ids of sessions look like. Those of an MTA's queue may differ in case.
var sessionID = regexp.MustCompile(`^[a-z2-7]{26}$`)
