package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"helo-milter/cmd/helo-milter/internal/explain"
)

// coloured gives out colours if it is a terminal, unless its user wants none (no-color.org).
func coloured(out io.Writer) io.Writer {
	file, isFile := out.(*os.File)
	if isFile && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd())) {
		return explain.Coloured{Writer: out}
	}
	return out
}
