package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Allow returns the lines of the configuration that exempt the client of a record until its fault is gone: an
// [[allow]] entry until "mended" for its address and, where a PTR name of it is confirmed, for that name, too.
// They are TOML whatever the record says, and each ends with a line feed. It returns "" where there is nothing
// to exempt: for a client that has no public address, that is exempt, or that no rule has anything against.
func Allow(r *checks.Record) string {
	if !r.Client.IsValid() || !checks.Public(r.Client) || r.Exempt != "" || r.Verdict.Rule == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[[allow]]\nnetwork = \"%s\"\n", r.Client)
	if name := confirmedName(r); name != "" {
		fmt.Fprintf(&b, "name = \"%s\"\n", name)
	}
	// What Token leaves needs no escape in a string of TOML.
	fmt.Fprintf(&b, "until = \"mended\"\nreason = \"%s, %s\"\n",
		clean.Token(r.Verdict.Rule), r.Time.UTC().Format(time.DateOnly))
	return b.String()
}

// confirmedName returns a confirmed PTR name of the client, that of its HELO if it is one, or "". What is no
// host name is left out: the configuration does not take it.
func confirmedName(r *checks.Record) string {
	unfit := func(name string) bool { return name == "" || checks.ParseHelo(name).Name != name }
	names := slices.DeleteFunc(r.Facts.Confirmed(), unfit)
	switch {
	case slices.Contains(names, r.Helo.Name):
		return r.Helo.Name
	case len(names) > 0:
		return names[0]
	}
	return ""
}
