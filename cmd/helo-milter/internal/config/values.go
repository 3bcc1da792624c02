package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/enum"
)

// duration is a time.Duration that is always written with its unit.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration, such as 5s or 500ms", text)
	}
	*d = duration(v)
	return nil
}

// fileMode is the mode of a socket file, in octal.
type fileMode uint32

func (m fileMode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

func (m *fileMode) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 8, 9)
	if err != nil {
		return fmt.Errorf("%q is not a file mode in octal, such as 0660", text)
	}
	*m = fileMode(v)
	return nil
}

// onDNSError is a checks.Action of which only two are allowed: a DNS failure never costs a 5xx.
type onDNSError checks.Action

var onDNSErrorWords = enum.Words[onDNSError]{
	{onDNSError(checks.Off), "accept"}, {onDNSError(checks.TempFail), "tempfail"},
}

func (a onDNSError) MarshalText() ([]byte, error) { return onDNSErrorWords.Marshal(a) }

func (a *onDNSError) UnmarshalText(text []byte) error { return onDNSErrorWords.Unmarshal(a, text) }

// LogForm is how the lines of the log are written: as slog's handlers do.
type LogForm uint8

// The forms of the log.
const (
	LogText LogForm = iota
	LogJSON
)

var logForms = enum.Words[LogForm]{{LogText, "text"}, {LogJSON, "json"}}

// MarshalText implements encoding.TextMarshaler.
func (f LogForm) MarshalText() ([]byte, error) { return logForms.Marshal(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *LogForm) UnmarshalText(text []byte) error { return logForms.Unmarshal(f, text) }

// logLevel is a slog.Level that has no values between the four.
type logLevel slog.Level

func (l logLevel) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

func (l *logLevel) UnmarshalText(text []byte) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.ToLower(level.String()) == string(text) {
			*l = logLevel(level)
			return nil
		}
	}
	return fmt.Errorf("%q is none of debug, info, warn, error", text)
}

// network is a CIDR, an address, or "private".
type network struct {
	private bool
	prefix  netip.Prefix
}

func (n network) MarshalText() ([]byte, error) {
	if n.private {
		return []byte("private"), nil
	}
	return n.prefix.MarshalText()
}

func (n *network) UnmarshalText(text []byte) error {
	if string(text) == "private" {
		n.private = true
		return nil
	}
	prefix, err := parsePrefix(string(text))
	n.prefix = prefix
	return err
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network, such as 192.0.2.0/24 or 2001:db8::/32", s)
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is an IPv4-mapped prefix: write it as IPv4, such as 192.0.2.0/24", s)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%q has host bits set: did you mean %s?", s, p.Masked())
	}
	return p, nil
}

// domain is a domain, or ".domain" for every name under it, in canonical form.
type domain string

func (d *domain) UnmarshalText(text []byte) error {
	*d = domain(checks.Canonical(string(text)))
	return names([]string{string(text)}, true)
}

// until is when an allow entry ends.
type until checks.Allow

// mended is the end of an entry that is needed as long as its clients have faults.
const mended = "mended"

// store takes a TOML date, or "mended". A date without a time is over when the day is.
func (u *until) store(value any) error {
	if word, ok := value.(string); ok {
		if u.Mended = word == mended; !u.Mended {
			return fmt.Errorf("%q is neither %q nor a date, which has no quotes: 2027-03-31", word, mended)
		}
		return nil
	}
	var t time.Time
	err := store(&t, value, `date or "mended"`)
	if t.Location().String() == "date-local" {
		t = t.AddDate(0, 0, 1)
	}
	u.Until = t
	return err
}
