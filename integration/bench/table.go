package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is a table in Markdown.
type table struct {
	head []string
	rows [][]string
}

func (t *table) row(values ...any) {
	var row []string
	for _, value := range values {
		row = append(row, fmt.Sprint(value))
	}
	t.rows = append(t.rows, row)
}

// print prints the table with columns that are aligned in a terminal, too.
func (t *table) print(out io.Writer) {
	widths := make([]int, len(t.head))
	line := make([]string, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, width := range widths {
		line[i] = strings.Repeat("-", width)
	}
	for _, row := range append([][]string{t.head, line}, t.rows...) {
		for i, cell := range row {
			fmt.Fprintf(out, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(out, "|")
	}
}

func whole(f float64) string { return fmt.Sprintf("%.0f", f) }

func millis(micros float64) string { return fmt.Sprintf("%.2f", micros/1000) }
