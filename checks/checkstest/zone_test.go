package checkstest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

var _ checks.Resolver = checkstest.Zone{}

func TestZone(t *testing.T) {
	z := checkstest.Parse(t, `
203.0.113.1        PTR  mail.example.org.    ; a comment
2001:db8::1        PTR  mail.example.org.
2.113.0.203.in-addr.arpa. 60 IN PTR other.example.org.
mail.example.org   A    203.0.113.1
mail.example.org   A    203.0.113.2
mail.example.org   AAAA 2001:db8::1
mail.example.org   MX   10 mx.example.org.
null.example.org   MX   0 .
mail.example.org   NS   ns.example.org.
mail.example.org   TXT  "v=spf1 " "-all"
203.0.113.3        TXT  "dnstest" "servfail"
half.example.org   A    203.0.113.4
half.example.org   TXT  "dnstest" "servfail" "AAAA"
old.example.org    A    203.0.113.5
old.example.org    TXT  "dnstest" "stale"
slow.example.org   TXT  "dnstest" "drop"
bad.example.org    TXT  "dnstest" "panic" "A"
`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for question, want := range map[string]string{
		"PTR 203.0.113.1": "[mail.example.org.]", "PTR 2001:db8::1": "[mail.example.org.]",
		"PTR 203.0.113.2": "[other.example.org.]", "PTR 203.0.113.3": "[] SERVFAIL",
		"PTR 203.0.113.9": "[] NXDOMAIN", "A mail.example.org": "[203.0.113.1 203.0.113.2]",
		"A Mail.Example.ORG.": "[203.0.113.1 203.0.113.2]", "AAAA mail.example.org": "[2001:db8::1]",
		"MX mail.example.org": "[mx.example.org. 10]", "MX null.example.org": "[. 0]",
		"NS mail.example.org": "[ns.example.org.]", "TXT mail.example.org": "[v=spf1 -all]",
		"A half.example.org": "[203.0.113.4]", "AAAA half.example.org": "[] SERVFAIL",
		"TXT half.example.org": "[] NXDOMAIN", "A old.example.org": "[203.0.113.5] stale",
		"MX slow.example.org": "[] context deadline exceeded", "A bad.example.org": "panic A bad.example.org",
		"AAAA bad.example.org": "[] NXDOMAIN",
	} {
		if got := ask(ctx, z, question); got != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}

func ask(ctx context.Context, r checks.Resolver, question string) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint("panic ", p)
		}
	}()
	var qtype, owner string
	fmt.Sscan(question, &qtype, &owner)
	var values []string
	var err error
	switch qtype {
	case "PTR":
		values, err = r.LookupAddr(ctx, owner)
	case "A", "AAAA":
		addrs, e := r.LookupNetIP(ctx, map[string]string{"A": "ip4", "AAAA": "ip6"}[qtype], owner)
		values, err = texts(addrs), e
	case "MX":
		mx, e := r.LookupMX(ctx, owner)
		for _, m := range mx {
			values = append(values, fmt.Sprint(m.Host, " ", m.Pref))
		}
		err = e
	case "NS":
		ns, e := r.LookupNS(ctx, owner)
		for _, n := range ns {
			values = append(values, n.Host)
		}
		err = e
	case "TXT":
		values, err = r.LookupTXT(ctx, owner)
	}
	text = fmt.Sprint(values)
	if dnsErr := new(net.DNSError); errors.As(err, &dnsErr) {
		return text + " " + dnsErr.Err
	} else if err != nil {
		return text + " " + err.Error()
	}
	return text
}

func texts[T fmt.Stringer](values []T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.String()
	}
	return list
}
