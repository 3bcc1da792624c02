package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"helo-milter/checks"
)

// hop is a row of a hops file: a client that handed a message to the receiving host, and what that host
// recorded about it.
type hop struct {
	class   int // index in the form's classes
	client  netip.Addr
	helo    string
	rdns    string // as it stands in the file
	reverse checks.Reverse
	lost    bool   // reverse is missing, but others wrote a name for that client at another time
	by      string // the receiving host, or a pattern such as *.mail.example.net
	big     bool   // the client is a large provider's relay
}

// form is one of the two formats of hops files.
type form struct {
	name    string
	mark    string   // a column that only this format has
	columns []string // the required ones; others are ignored
	classes []class
	read    func(row) (hop, error)
}

// class is a group of hops that are counted together.
type class struct {
	name   string
	ham    bool
	fitted bool // scores are fitted on it, see fit
}

var forms = []form{
	{
		name: "old", mark: "fcrdns", columns: []string{"label", "ip", "helo", "rdns", "fcrdns", "by"},
		classes: []class{{"ham", true, true}, {"spam", false, true}}, read: readOld,
	},
	{
		name: "modern", mark: "verified",
		columns: []string{
			"label", "source", "ip", "helo", "rdns", "verified", "by", "big", "ip_named_elsewhere",
		},
		classes: []class{
			{"ham", true, true},
			{"ham-big", true, false},
			{"listspam", false, true},
			{"listspam-big", false, false},
			{"phish", false, false},
		},
		read: readModern,
	},
}

// row returns the field of a line in a column.
type row func(column string) string

// hopsFile is a file in memory.
type hopsFile struct {
	name   string
	header []string
	form   *form
	hops   []hop
}

func readFile(name string) (*hopsFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readHops(name, f)
}

// maxLine is far above any hop: a HELO has at most 512 bytes.
const maxLine = 1 << 20

func readHops(name string, r io.Reader) (*hopsFile, error) {
	file := &hopsFile{name: name}
	lines := bufio.NewScanner(r) // accepts CRLF
	lines.Buffer(nil, maxLine)
	number := 1
	for ; lines.Scan(); number++ {
		if err := file.line(strings.Split(lines.Text(), "\t")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w: give a hops file", name, number, err)
	}
	if file.form == nil {
		return nil, fmt.Errorf("%s:1: the file is empty: start it with the line of column names", name)
	}
	return file, nil
}

func (file *hopsFile) line(fields []string) (err error) {
	if file.form == nil {
		file.header = fields
		file.form, err = findForm(fields)
		return err
	}
	if len(fields) != len(file.header) {
		return fmt.Errorf("fields: %d, column names: %d: separate as many fields by one tab each",
			len(fields), len(file.header))
	}
	h, err := file.form.hop(func(column string) string { return fields[slices.Index(file.header, column)] })
	file.hops = append(file.hops, h)
	return err
}

func findForm(header []string) (*form, error) {
	i := slices.IndexFunc(forms, func(f form) bool { return slices.Contains(header, f.mark) })
	if i < 0 {
		return nil, errors.New("neither a column fcrdns nor verified: name the columns in the first line")
	}
	for _, column := range forms[i].columns {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("no column %s: a file with %s needs %s", column, forms[i].mark,
				strings.Join(forms[i].columns, ", "))
		}
	}
	return &forms[i], nil
}

// hop parses a line: the fields that the formats share, then the others.
func (f *form) hop(r row) (hop, error) {
	client, err := netip.ParseAddr(r("ip"))
	if err != nil || client.Zone() != "" {
		return hop{}, fmt.Errorf("ip %q is no address: write one, without brackets and zone", r("ip"))
	}
	if !slices.Contains([]string{"ham", "spam"}, r("label")) {
		return hop{}, fmt.Errorf("label %q: write ham or spam", r("label"))
	}
	h, err := f.read(r)
	h.client, h.helo, h.rdns, h.by = client.Unmap(), r("helo"), r("rdns"), r("by")
	noName := slices.Contains([]string{"", "-", "?"}, h.rdns)
	if hasName := h.reverse > checks.ReverseMissing; err == nil && hasName == noName {
		err = fmt.Errorf("rdns %q and %s %q contradict each other: correct one", h.rdns, f.mark, r(f.mark))
	}
	return h, err
}

func readOld(r row) (hop, error) {
	h := hop{class: 0}
	if r("label") == "spam" {
		h.class = 1
	}
	switch r("fcrdns") {
	case "none":
		h.reverse = checks.ReverseMissing
	case "forged":
		h.reverse = checks.ReverseForged
	case "ok/unknown": // the host would have recorded a forged name
		h.reverse = checks.ReverseConfirmed
	default:
		return h, fmt.Errorf("fcrdns %q: write none, forged or ok/unknown", r("fcrdns"))
	}
	return h, nil
}

func readModern(r row) (hop, error) {
	h := hop{big: r("big") == "big"}
	switch source, _, _ := strings.Cut(r("source"), ":"); {
	case r("label") == "ham":
		h.class = 0
	case source == "listspam":
		h.class = 2
	case source == "phish":
		h.class = 4
	default:
		return h, fmt.Errorf("source %q of spam: write listspam or phish before its colon", r("source"))
	}
	switch {
	case !h.big && r("big") != "-":
		return h, fmt.Errorf("big %q: write big or -", r("big"))
	case h.big && h.class < 4:
		h.class++
	}
	switch r("verified") {
	case "yes":
		h.reverse = checks.ReverseConfirmed
	case "no":
		h.reverse = checks.ReverseForged
	case "?", "-":
		h.reverse = unverified(r("rdns"))
		h.lost = h.reverse == checks.ReverseMissing && r("ip_named_elsewhere") == "yes"
	default:
		return h, fmt.Errorf("verified %q: write yes, no, ? or -", r("verified"))
	}
	return h, nil
}

// unverified classifies a reverse name whose confirmation was not recorded. Postfix and Exim record no name
// if there is none, if it is not confirmed and if the lookup failed: a file cannot tell these apart, and `-`
// is taken for the first, by far the most common.
func unverified(rdns string) checks.Reverse {
	switch rdns {
	case "-":
		return checks.ReverseMissing
	case "?":
		return checks.ReverseUnrecorded
	default:
		return checks.ReverseUnchecked
	}
}
