package console

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"helo-milter/checks/clean"
)

// table is what is shown as a table, and exported as CSV and as JSON Lines.
type table struct {
	Name, Title string
	Columns     []column
	Rows        [][]cell
	Note        string
	filter      *filter // of the page; nil is none
}

// Save is the query of an export, in the address of the page.
func (t table) Save(format string) string {
	return cmp.Or(t.filter, &filter{}).with("format", format, "table", t.Name)
}

// column is one of a table.
type column struct {
	Key   string // in an export: lower case, with underscores
	Title string
	Kind  string // "n": a number; "mono": what a machine has said
}

// cell is text that is clean for a page, or a number.
type cell struct {
	Text string
	Link string // relative, or ""
	Bad  bool   // to be looked at
	Raw  any    // for an export, in the place of Text
}

func number(n int) cell     { return cell{Text: group(n), Raw: n} }
func words(s string) cell   { return cell{Text: s} }
func machine(s string) cell { return cell{Text: clean.Report(s), Raw: s} }

// value is what an export has.
func (c *cell) value() any {
	if c.Raw != nil {
		return c.Raw
	}
	return c.Text
}

// safe is a text that a spreadsheet does not take for a formula, and whose lines stay whole.
func safe(text string) string {
	text = clean.Terminal(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

// csv writes the table with a line of titles (RFC 4180).
func (t *table) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	line := make([]string, len(t.Columns))
	for i := range t.Columns {
		line[i] = t.Columns[i].Key
	}
	_ = w.Write(line) // errors are those of Error
	for _, row := range t.Rows {
		for i := range row {
			switch v := row[i].value().(type) {
			case string:
				line[i] = safe(v)
			default:
				line[i] = fmt.Sprint(v)
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return w.Error()
}

// jsonl writes an object for each row, one a line.
func (t *table) jsonl(out io.Writer) error {
	for _, row := range t.Rows {
		object := make(map[string]any, len(row))
		for i := range row {
			object[t.Columns[i].Key] = row[i].value()
		}
		line, err := json.Marshal(object)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, clean.JSON(string(line))+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// formats are those of an export.
var formats = map[string]struct{ kind, ending string }{
	"csv": {"text/csv; charset=utf-8", "csv"}, "jsonl": {"application/jsonl; charset=utf-8", "jsonl"},
}

// export writes a table as a file.
func (t *table) export(w http.ResponseWriter, format string) {
	attach(w, t.Name, format)
	if format == "csv" {
		_ = t.csv(w) // the browser has left
		return
	}
	_ = t.jsonl(w)
}

func attach(w http.ResponseWriter, name, format string) {
	w.Header().Set("Content-Type", formats[format].kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="helo-milter-%s.%s"`, name, formats[format].ending))
}
