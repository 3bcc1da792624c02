package past

import (
	"encoding/json"
	"strings"
)

// gather adds a line to a record that has several, and returns the record as a line of JSON when it is
// complete; more is true before that. A line that is not of the record ends it.
//
//	journalctl -o json-pretty, jq    "{", fields after white space, "}"
//	journalctl -o export             "__CURSOR=S", more of KEY=VALUE, and an empty line
func (l *logReader) gather(line string) (record string, more bool) {
	export := len(l.block) > 0 && l.block[0] != '{'
	inside := line == "" || line[0] == ' ' || line[0] == '\t'
	if export {
		inside = isExported(line)
	}
	switch {
	case export && line == "":
		record, l.block = exported(string(l.block)), nil
		return record, false
	case !export && (line == "}" || line == "},"):
		record, l.block = string(l.block)+line, nil
		return record, false
	case len(l.block) > 0 && !inside, len(l.block) > maxLine:
		if torn := string(l.block); quotesServer(torn) {
			l.broken(unparsed, torn)
		}
		if l.block = nil; !beginsBlock(line) {
			return line, false
		}
	}
	l.block = append(append(l.block, line...), '\n')
	return "", true
}

func beginsBlock(line string) bool { return line == "{" || strings.HasPrefix(line, "__CURSOR=") }

// isExported reports whether a line is KEY=VALUE. A value that is not text has lines of its own, which are
// not read.
func isExported(line string) bool {
	key, _, ok := strings.Cut(line, "=")
	return ok && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// exported returns the JSON of a record of journalctl -o export.
func exported(block string) string {
	record := map[string]string{}
	for line := range strings.Lines(block) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		record[key] = value
	}
	text, _ := json.Marshal(record) // strings have no errors
	return string(text)
}
