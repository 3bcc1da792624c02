package past

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Paths returns the files that arguments of a command line name, each once and in the order of their names,
// whatever the order of the arguments; standard input ("-") is the last. An argument with one of "*?[" that is
// no file's name is a pattern of path/filepath, and stands for what it matches. errs has an error for each
// pattern that matches nothing or cannot be read as one.
func Paths(args []string) (paths []string, errs []error) {
	for _, arg := range args {
		if _, err := os.Lstat(arg); err == nil || !strings.ContainsAny(arg, "*?[") {
			paths = append(paths, arg)
			continue
		}
		switch matches, err := filepath.Glob(arg); {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: no file of this name, and not a pattern: %w", arg, err))
		case len(matches) == 0:
			errs = append(errs, fmt.Errorf("%s: no file matches this pattern", arg))
		default:
			paths = append(paths, matches...)
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "-":
			return 1
		case b == "-":
			return -1
		}
		return cmp.Or(cmp.Compare(filepath.Clean(a), filepath.Clean(b)), cmp.Compare(a, b))
	})
	return slices.CompactFunc(paths, func(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }), errs
}
