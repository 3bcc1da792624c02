package past

import (
	"strconv"
	"strings"
	"time"
)

// shortDate reads "Nov 22 08:00:00 ", perhaps with a fraction. The date has no year, and a day of one digit
// may have lost its space where a log was pasted.
func (l *logReader) shortDate(line string) (t time.Time, rest string, ok bool) {
	end := len(time.Stamp)
	if line[5] == ' ' {
		end--
	}
	if len(line) > end && line[end] == '.' {
		end += len(before(line[end:], ' '))
	}
	t, err := time.ParseInLocation(time.Stamp, line[:end], l.now.Location())
	return t, line[end:], err == nil
}

// spacedDate reads "2026-11-22 08:00:00.123 +0000 ".
func (l *logReader) spacedDate(line string, around carrier) (t time.Time, rest string, ok bool) {
	if len(line) <= len(time.DateTime) {
		return t, "", false
	}
	date := line[:len(time.DateTime)+len(before(line[len(time.DateTime):], ' '))]
	rest = strings.TrimLeft(line[len(date):], " ")
	clock := date[len(time.DateTime):]
	zone := strings.IndexAny(clock, "+-Z")
	layout, zoned := time.DateTime, true
	switch {
	case zone >= 0 && strings.Contains(clock[zone:], ":"):
		layout = "2006-01-02 15:04:05Z07:00"
	case zone >= 0:
		layout = "2006-01-02 15:04:05Z0700"
	case len(rest) > 5 && (rest[0] == '+' || rest[0] == '-') && rest[5] == ' ':
		layout, date, rest = "2006-01-02 15:04:05 -0700", line[:len(date)+len(" -0700")], rest[6:]
	default:
		zoned = false
	}
	t, err := time.ParseInLocation(layout, date, l.now.Location())
	if !zoned && err == nil {
		t = l.instant(t, around)
	}
	return t, rest, err == nil
}

// isoTime reads a date of RFC 3339. Older versions of journalctl write its zone without a colon, syslog-ng
// can leave it out, and runit's svlogd writes UTC without a zone and with "_" for "T".
func (l *logReader) isoTime(text string) (t time.Time, ok bool) {
	if len(text) <= len("2026-11-22") || text[4] != '-' {
		return unixTime(text)
	}
	t, err := time.Parse(time.RFC3339, text)
	for _, layout := range []string{"2006-01-02T15:04:05Z0700", "2006-01-02_15:04:05"} {
		if err != nil {
			t, err = time.Parse(layout, text)
		}
	}
	if err != nil {
		t, err = time.ParseInLocation("2006-01-02T15:04:05", text, l.now.Location())
	}
	return t, err == nil
}

// unixTime reads the time since 1970 in seconds, milliseconds, microseconds or nanoseconds: from 2001 to
// 2286, these have 10, 13, 16 and 19 digits.
func unixTime(text string) (t time.Time, ok bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if n := len(whole); n < 10 || n > 19 || n%3 != 1 || len(fraction) > 19 {
		return t, false
	}
	nano, err := strconv.ParseInt((whole + fraction + "000000000")[:19], 10, 64)
	return time.Unix(0, nano).UTC(), err == nil && nano > 0
}

// instant returns the time of a date without a time zone, and perhaps without a year: the latest one that is
// not after the time at which the line was read or carried.
//
// If a container engine has written the time at which it received the line, that is the time: the date is in
// the zone of the container, which nobody knows, and may differ by the 14 hours that zones differ. If it
// differs by more, the line is older than what carried it.
func (l *logReader) instant(date time.Time, around carrier) time.Time {
	now := l.now
	if !around.time.IsZero() {
		now = around.time
	}
	if date.Year() == 0 {
		date = inYear(date, now)
	}
	_, zone := date.Zone()
	utc := date.Add(time.Duration(zone) * time.Second)
	if around.live && utc.Sub(around.time).Abs() <= 15*time.Hour {
		return around.time
	}
	return date
}

// inYear returns a date without a year in the latest year in which it is not in the future. The clock and
// time zone of the host may be a day ahead of ours.
func inYear(t, now time.Time) time.Time {
	full := t
	for back := range 10 { // 29 February may not be for 8 years
		full = t.AddDate(now.Year()+1-back-t.Year(), 0, 0)
		if full.Day() == t.Day() && full.Sub(now) <= 24*time.Hour {
			break
		}
	}
	return full
}
