package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"helo-milter/checks"
)

// README.md has a row for each line that this package, milter and opensmtpd log, with its level and its fields, and one for
// each field of a decision.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, pattern := range []string{"*.go", "../../../../milter/*.go", "../../../../milter/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				want = append(want, logged(t, file)...)
			}
		}
	}
	line := regexp.MustCompile("(?m)^\\| ((debug|info|warn|error) \\| `.*?` \\| .*?\\|)")
	for _, row := range line.FindAllStringSubmatch(string(text), -1) {
		got = append(got, row[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("README.md has\n%s\nand what is logged is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var fields, rows []string
	decision := (&checks.Decision{Facts: &checks.Facts{}}).AppendLog(nil, false)
	for _, field := range regexp.MustCompile(` (\w+)=`).FindAllSubmatch(decision, -1) {
		fields = append(fields, string(field[1]))
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllSubmatch(text, -1) {
		rows = append(rows, string(row[1]))
	}
	if !slices.Equal(rows, fields) {
		t.Errorf("README.md has the fields %q, and the line of a decision %q", rows, fields)
	}
}

// logged are the lines that a file of Go logs, as rows.
func logged(t *testing.T, file string) (rows []string) {
	t.Helper()
	levels := []string{"Debug", "Info", "Warn", "Error"}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !isLog(method.X) || !slices.Contains(levels, method.Sel.Name) {
			return true
		}
		row, fields := strings.ToLower(method.Sel.Name)+" | `"+constant(t, call.Args[0])+"` | ", []string{}
		for i := 1; i < len(call.Args); i += 2 {
			fields = append(fields, "`"+constant(t, call.Args[i])+"`")
		}
		rows = append(rows, strings.TrimSpace(row+strings.Join(fields, ", "))+" |")
		return true
	})
	return rows
}

// isLog reports whether an expression is a logger: log, d.log or s.cfg.Log.
func isLog(e ast.Expr) bool {
	if field, ok := e.(*ast.SelectorExpr); ok {
		e = field.Sel
	}
	name, ok := e.(*ast.Ident)
	return ok && strings.EqualFold(name.Name, "log")
}

// constant is the text of a literal, or of a sum of some: messages and names of fields are nothing else.
func constant(t *testing.T, e ast.Expr) string {
	t.Helper()
	if sum, ok := e.(*ast.BinaryExpr); ok {
		return constant(t, sum.X) + constant(t, sum.Y)
	}
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%#v is no literal", e)
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
