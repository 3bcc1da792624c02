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

	"helo-milter/dnscache"
	"helo-milter/integration/rig"
)

// For every name in rig/dns.txt and some that are not, dnscache gets the same answers as Knot's kdig.
func TestAnswersMatchKdig(t *testing.T) {
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
			answers := kdig(t, name, types)
			for i, qtype := range types {
				if got, want := lookup(t, resolver, name, qtype), answers[i]; got != want {
					t.Errorf("%s: dnscache got %s, kdig got %s", qtype, got, want)
				}
			}
		})
	}
	if questions < 500 {
		t.Errorf("only %d questions", questions)
	}
}

// kdig returns an answer for each type: the sorted data in one line, NONE or FAILURE.
func kdig(t *testing.T, name string, types []string) (answers []string) {
	server, _, _ := net.SplitHostPort(rig.Resolver)
	args := []string{"@" + server, "+noall", "+header", "+answer", "+timeout=20", "+retry=0"}
	for _, qtype := range types {
		args = append(args, name+".", qtype)
	}
	out, err := exec.Command("kdig", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kdig: %v\n%s", err, out)
	}
	parts := strings.Split(string(out), "->>HEADER<<-")[1:]
	if len(parts) != len(types) {
		t.Fatalf("%d answers to %d questions:\n%s", len(parts), len(types), out)
	}
	for i, part := range parts {
		answers = append(answers, digAnswer(part, types[i]))
	}
	return answers
}

// digAnswer formats one answer of kdig's output.
func digAnswer(text, qtype string) string {
	_, status, _ := strings.Cut(text, "status: ")
	status, _, _ = strings.Cut(status, ";")
	var data []string
	for line := range strings.Lines(text) {
		switch fields := strings.Fields(line); {
		case len(fields) > 4 && fields[3] == qtype && qtype == "MX":
			data = append(data, fields[5])
		case len(fields) > 4 && fields[3] == qtype:
			data = append(data, strings.Trim(strings.Join(fields[4:], " "), `"`))
		}
	}
	return oneLine(data, status != "NOERROR" && status != "NXDOMAIN")
}

// oneLine formats an answer.
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

// lookup returns the answer of dnscache in the same form.
func lookup(t *testing.T, r *dnscache.Resolver, name, qtype string) string {
	ctx, cancel := context.WithTimeout(t.Context(), rig.WaitTimeout)
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

// reverseAddr returns the address of a complete reverse name.
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
	return "", fmt.Errorf("%s is not a reverse name", name)
}
