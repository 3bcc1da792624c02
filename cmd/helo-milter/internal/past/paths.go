package past

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Paths returns the files that arguments of a command line name, each once and in the order of their names,
// whatever the order of the arguments; standard input ("-") is the last. An argument with one of "*?[" that is
// no file's name is a pattern of path/filepath, and stands for what it matches. errs has an error for each
// pattern that matches nothing or cannot be read as one.
func Paths(args []string) (paths []string, errs []error) {
	for _, arg := range args {
		if _, err := os.Lstat(arg); err == nil || !isFile(arg) || !strings.ContainsAny(arg, "*?[") {
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

// Rotated returns a log and the files of its directory that logrotate has made of it (log.1, log.2.gz, log-20261128.gz, or
// with its option "extension" before the extension), the latest first. Only regular files are returned: to read from a
// pipe would take what is there from its reader.
func Rotated(log string) (paths []string) {
	dir, base := filepath.Split(log)
	extension := filepath.Ext(base)
	stem := strings.TrimSuffix(base, extension)
	const turn = `[.-][0-9][0-9._-]*`
	name := regexp.MustCompile("^(" + regexp.QuoteMeta(base) + "(" + turn + ")?|" + regexp.QuoteMeta(stem) + turn +
		regexp.QuoteMeta(extension) + `)(\.gz)?$`)
	entries, _ := os.ReadDir(cmp.Or(dir, ".")) // what cannot be listed is not there
	written := map[string]time.Time{}
	for _, entry := range entries {
		if path := dir + entry.Name(); name.MatchString(entry.Name()) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				paths, written[path] = append(paths, path), info.ModTime()
			}
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return written[b].Compare(written[a]) })
	return paths
}
