package milter

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
)

// A frame is a length of four bytes (big endian), a code of one byte that the
// length counts, and data. There is no RFC; the codes and their data stand in
// Sendmail's include/libmilter/mfdef.h and libmilter/engine.c.
const (
	headLen    = 5
	maxFrame   = 64 << 10 // the length's bound
	maxContent = 1 << 20  // the same for headers and body, SMFIP_MDS_1M, of which maxFrame is passed on

	// maxStrings bounds the NULs in the frames whose strings the library
	// splits: each costs it a string and, in a macro frame, half a map entry.
	// Sendmail sends at most 50 macros a frame (MAXFILTERMACROS), and Postfix
	// no MAIL or RCPT longer than 2048 bytes (line_length_limit).
	maxStrings = 1024

	codes = "OCHMRTLNBEUDAKQ" // SMFIC_*: all that the library knows
)

// frameSize returns the length in bytes of the frame that b begins with, head
// included, or headLen if b does not tell yet, and the kind of violation that
// the head already is, if any.
func frameSize(b []byte, negotiated bool) (size int, kind string) {
	if len(b) < 4 {
		return headLen, ""
	}
	length := binary.BigEndian.Uint32(b)
	switch {
	case length == 0:
		return 0, kindEmpty
	case length > maxContent:
		return 0, kindSize
	case len(b) < headLen:
		return headLen, ""
	}
	switch code := b[4]; {
	case strings.IndexByte(codes, code) < 0:
		return 0, kindCommand
	case (code == 'O') == negotiated:
		return 0, kindOrder
	case length > maxFrame && code != 'L' && code != 'B':
		return 0, kindSize
	}
	return 4 + int(length), ""
}

// checkFrame returns the kind of violation that a whole frame is, if any. It
// corrects in place what the library would close the connection for although
// the mail can go on; surplus bytes at the end of the data are then to be cut.
func checkFrame(frame []byte) (surplus int, kind string) {
	data := frame[headLen:]
	switch frame[4] {
	case 'O':
		kind = checkOptneg(data)
	case 'C':
		kind = checkConnect(data)
	case 'H':
		if len(data) == 0 {
			kind = kindHelo
		}
	case 'M', 'R':
		if bytes.IndexByte(data, 0) < 0 {
			kind = kindEnvelope
		} else if bytes.Count(data, []byte{0}) > maxStrings {
			kind = kindStrings
		}
	case 'L':
		return checkHeader(data)
	case 'D':
		if len(data) == 0 {
			kind = kindMacro
		} else if bytes.Count(data, []byte{0}) > maxStrings {
			kind = kindStrings
		}
	}
	return 0, kind
}

// checkOptneg wants version, actions and protocol, and may find more (macro
// lists). A version above the library's is legal and negotiated down.
func checkOptneg(data []byte) (kind string) {
	switch {
	case len(data) < 12:
		return kindOptneg
	case binary.BigEndian.Uint32(data) < 2:
		return kindVersion
	}
	return ""
}

// checkConnect wants a host, a family and, but for family U, a port. Where the
// family is none that the library knows, or the text no address of it, it makes
// it U: Sendmail sends that where it has no address (sendmail -bs), and then
// port and address do not count.
func checkConnect(data []byte) (kind string) {
	host := bytes.IndexByte(data, 0)
	if host < 0 || host+1 == len(data) {
		return kindConnect
	}
	family, rest := &data[host+1], data[host+2:]
	switch *family {
	case 'L', '4', '6':
		if len(rest) < 2 {
			return kindConnect
		}
		text, _, _ := bytes.Cut(rest[2:], []byte{0})
		if *family != 'L' && !isAddress(*family, string(text)) {
			*family = 'U'
		}
	default:
		*family = 'U'
	}
	return ""
}

// isAddress reports whether the library takes text for an address of family 4 or
// 6. As 6 it takes Sendmail's "IPv6:2001:db8:0:0:0:0:0:7", brackets, and IPv4.
func isAddress(family byte, text string) bool {
	if family == '6' {
		text = strings.TrimPrefix(text, "IPv6:")
		if len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
			text = text[1 : len(text)-1]
		}
	}
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == "" && (family == '6' || addr.Unmap().Is4())
}

// checkHeader wants two strings, name and value; all MTAs known send just
// these. What follows a NUL in the value is surplus: libmilter's dec_arg2 reads
// two strings and goes on, too, and gives up when the second is missing.
func checkHeader(data []byte) (surplus int, kind string) {
	_, value, _ := bytes.Cut(data, []byte{0})
	if len(value) == 0 {
		return 0, kindHeader
	}
	_, after, _ := bytes.Cut(value, []byte{0})
	return len(after), ""
}
