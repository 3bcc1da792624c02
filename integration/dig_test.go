package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/dnscache"
	"helo-milter/integration/rig"
)

// A stranger's tool agrees: for every name of the world and some that are not in it, our answers are kdig's.
func TestDigAgrees(t *testing.T) {
	owners, err := rig.Owners()
	if err != nil {
		t.Fatal(err)
	}
	owners = append(owners, "nobody.example.org", "mail.example.org.nowhere", "x.broken.example.org", "invalid")
	resolver, err := dnscache.New(dnscache.Config{Servers: []string{rig.Resolver}})
	if err != nil {
		t.Fatal(err)
	}
	questions := 0
	for _, name := range owners {
		types := []string{"A", "AAAA", "MX", "TXT", "NS"}
		if _, err := reverseAddr(name); err == nil {
			types = append(types, "PTR")
		}
		questions += len(types)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, qtype := range types {
				if got, want := ours(t, resolver, name, qtype), kdig(t, name, qtype); got != want {
					t.Errorf("%s: we have %s, kdig has %s", qtype, got, want)
				}
			}
		})
	}
	if questions < 500 {
		t.Errorf("only %d questions", questions)
	}
}

// kdig is its answer in one line: the sorted data of that type, NONE, or the error.
func kdig(t *testing.T, name, qtype string) string {
	server, _, _ := net.SplitHostPort(rig.Resolver)
	out, err := exec.Command("kdig", "@"+server, "+noall", "+header", "+answer", "+timeout=10", "+retry=0",
		name+".", qtype).CombinedOutput()
	if err != nil {
		t.Fatalf("kdig: %v\n%s", err, out)
	}
	var data []string
	status := ""
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(line, "status: "):
			_, status, _ = strings.Cut(line, "status: ")
			status, _, _ = strings.Cut(status, ";")
		case len(fields) > 4 && fields[3] == qtype && qtype == "MX":
			data = append(data, fields[5])
		case len(fields) > 4 && fields[3] == qtype:
			data = append(data, strings.Trim(strings.Join(fields[4:], " "), `"`))
		}
	}
	return oneLine(data, status != "NOERROR" && status != "NXDOMAIN")
}

func oneLine(data []string, failed bool) string {
	switch {
	case failed:
		return "FAILURE"
	case len(data) == 0:
		return "NONE"
	}
	slices.Sort(data)
	return strings.ToLower(strings.Join(data, " "))
}

func ours(t *testing.T, r *dnscache.Resolver, name, qtype string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var data []string
	ctx = dnscache.WithTrace(ctx, func(q dnscache.Trace) { data = q.Values })
	var err error
	switch qtype {
	case "A":
		_, err = r.LookupNetIP(ctx, "ip4", name)
	case "AAAA":
		_, err = r.LookupNetIP(ctx, "ip6", name)
	case "MX":
		_, err = r.LookupMX(ctx, name)
	case "NS":
		_, err = r.LookupNS(ctx, name)
	case "TXT":
		data, err = r.LookupTXT(ctx, name)
	case "PTR":
		addr, parseErr := reverseAddr(name)
		_, err = r.LookupAddr(ctx, addr)
		err = errors.Join(parseErr, err)
	}
	dnsErr := new(net.DNSError)
	return oneLine(data, errors.As(err, &dnsErr) && !dnsErr.IsNotFound)
}

// reverseAddr is the address of a whole reverse name.
func reverseAddr(name string) (string, error) {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	switch {
	case len(labels) == 6 && labels[1] == "in-addr":
		return strings.Join(labels[2:], "."), nil
	case len(labels) == 34 && labels[1] == "ip6":
		groups := slices.Collect(slices.Chunk(labels[2:], 4))
		texts := make([]string, len(groups))
		for i, g := range groups {
			texts[i] = strings.Join(g, "")
		}
		return strings.Join(texts, ":"), nil
	}
	return "", fmt.Errorf("%s is no address", name)
}
