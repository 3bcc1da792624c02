package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/dnscache"
)

func between[T int | time.Duration](v, low, high T) error {
	if v < low || v > high {
		return fmt.Errorf("%v is not between %v and %v", v, low, high)
	}
	return nil
}

func score(v float64) error {
	if v >= 0 && v <= 1000 { // NaN is not
		return nil
	}
	return fmt.Errorf("%v is not between 0 and 1000", v)
}

func printable(s string, limit int) error {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%q contains a byte that is not printable ASCII", s)
		}
	}
	if len(s) > limit {
		return fmt.Errorf("is %d bytes long, the limit is %d", len(s), limit)
	}
	return nil
}

// helpURL checks what stands at the end of a reply with its placeholders filled in: it must fit a line.
func helpURL(s string) error {
	longest := strings.NewReplacer("{id}", strings.Repeat("x", 26), "{rule}", "helo-brand-host-no-ptr",
		"{client}", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
	if err := printable(longest.Replace(s), 380); err != nil {
		return err
	}
	return printable(s, 200)
}

// maxLink is how long help.url may be, so that it fits a line of a reply with its token.
const maxLink = 120

// linkURL checks the address of a page that there is one of for each refusal.
func linkURL(s string) error {
	if s == "" {
		return nil
	}
	if err := printable(s, maxLink); err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("%q is not an address of the web, such as https://helo.example.net/r/{id}", s)
	case !strings.HasSuffix(s, "/r/{id}") || strings.Count(s, "{") != 1:
		return fmt.Errorf("%q needs /r/{id} at its end: https://helo.example.net/r/{id}", s)
	}
	return nil
}

// mailbox checks the address of a recipient: RFC 5321 §4.1.2, without quotes.
func mailbox(s string) error {
	if s == "" {
		return nil
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(s) > 254 || strings.ContainsAny(s, "\"<>() \t") || printable(local, 64) != nil {
		return fmt.Errorf("%q is not a mail address, such as helocheck@example.net", s)
	}
	return names([]string{cmp.Or(domain, "-")}, false)
}

// public checks addresses that mail is sent from.
func public(list []netip.Addr) error {
	for _, addr := range list {
		if addr.Zone() != "" || !checks.Public(addr) {
			return fmt.Errorf("%s is not public: give the address that other hosts see", addr)
		}
	}
	return nil
}

func names(list []string, suffix bool) error {
	for _, name := range list {
		plain := name
		if suffix {
			plain = strings.TrimPrefix(name, ".")
		}
		helo := checks.ParseHelo(checks.Canonical(plain))
		if (name != "" || suffix) && helo.Form&checks.FormName == 0 {
			return fmt.Errorf("%q is not a host name or a domain", name)
		}
	}
	return nil
}

// filePath checks the path of a file that is to be made: open(2) and unix(7) cut it off at a NUL.
func filePath(s string) error {
	long := func(name string) bool { return len(name) > 255 }
	switch {
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("%q contains a NUL byte", s)
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q is a directory: give a file in it", s)
	case len(s) > 4095 || slices.ContainsFunc(strings.Split(s, "/"), long):
		return errors.New("the path is too long: the limits are 4095 bytes, and 255 for each name in it")
	}
	return nil
}

func zones(list []string) error {
	if slices.Contains(list, "") {
		return errors.New("empty name: give the zone of a block list")
	}
	return names(list, false)
}

// CheckServers is the check of dns.servers, for servers that come from a command line, too.
func CheckServers(list []string) error {
	for _, server := range list {
		if err := dnscache.CheckServer(server); err != nil {
			return err
		}
	}
	return nil
}

func notEmpty(addresses []Address) error {
	if len(addresses) == 0 {
		return errors.New("empty: give at least one address to listen on")
	}
	return nil
}
