package opensmtpd

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// line is one of smtpd's, split. Only its last field may contain a separator: smtpd-filters(7).
type line struct {
	request bool   // smtpd waits for an answer
	minor   int    // of the protocol's version 0.minor
	name    string // of the event or phase
	session string
	token   string // of a request; opaque
	params  string // the other fields
}

// The versions of the protocol. Before tokenSecond, an answer had its token before the session, and before
// resultFirst link-auth had the user's name before the result.
const (
	oldest      = 4 // OpenSMTPD 6.6
	tokenSecond = 5
	resultFirst = 7
	newest      = 7 // OpenSMTPD 7.6 to 7.8
)

// versionError is a protocol version that cannot be spoken.
type versionError string

func (e versionError) Error() string {
	return fmt.Sprintf("smtpd speaks version %q of the filter protocol, which is unknown: 0.%d to 0.%d are known",
		string(e), oldest, newest)
}

// parseVersion returns the minor number of a version 0.minor.
func parseVersion(text string) (minor int, err error) {
	rest, ok := strings.CutPrefix(text, "0.")
	minor, err = strconv.Atoi(rest)
	if !ok || err != nil || minor < oldest {
		return 0, versionError(text[:min(len(text), 20)])
	}
	return minor, nil
}

// parseLine splits a report or a request.
func parseLine(text string) (l line, err error) {
	kind, rest, _ := strings.Cut(text, "|")
	version, rest, ok := strings.Cut(rest, "|")
	if kind != "report" && kind != "filter" || !ok {
		return l, fmt.Errorf("neither a report nor a request")
	}
	if l.minor, err = parseVersion(version); err != nil {
		return l, err
	}
	_, rest, _ = strings.Cut(rest, "|") // when
	subsystem, rest, _ := strings.Cut(rest, "|")
	l.name, rest, _ = strings.Cut(rest, "|")
	l.session, l.params, _ = strings.Cut(rest, "|")
	if l.request = kind == "filter"; l.request {
		l.token, l.params, ok = strings.Cut(l.params, "|")
	}
	switch {
	case !ok:
		return l, fmt.Errorf("too few fields")
	case subsystem != "smtp-in":
		return l, fmt.Errorf("of another subsystem")
	case !isID(l.session), l.request && !isID(l.token):
		return l, fmt.Errorf("bad session or token")
	}
	return l, nil
}

// isID reports whether a text is a number as smtpd writes and reads them, in hexadecimal.
func isID(text string) bool {
	return text != "" && len(text) <= 16 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// parseEnd reads an end of a connection, ADDRESS:PORT with IPv6 addresses in brackets, or unix:PATH or
// "local", which have no address: sa_to_text in smtpd's to.c.
func parseEnd(text string) netip.Addr {
	if at := strings.LastIndexByte(text, ':'); at > strings.LastIndexByte(text, ']') {
		text = text[:at]
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
