// Package checkstest has what the tests of several packages need: a DNS, and hostile texts.
//
//	dns := checkstest.Parse(t, `
//	203.0.113.1        PTR  mail.example.org.
//	mail.example.org   A    203.0.113.1
//	mail.example.org   MX   10 mx.example.org.
//	203.0.113.2        TXT  "dnstest" "servfail"
//	spf.example.org    TXT  "v=spf1 -all"
//	spf.example.org    TXT  "dnstest" "stale" "TXT"
//	`)
//
// The text is a zone file (RFC 1035 §5), as that of package dnscache/dnstest, which serves one over the
// network. An owner that is an address stands for its reverse name. A name, or a type of it, that is not there
// gets NXDOMAIN. CNAMEs are not followed. A TXT record "dnstest" "WORD" makes its name misbehave; a third
// string limits that to one type. Such a record is in no answer.
//
//	servfail         SERVFAIL
//	stale            the values come with an error (RFC 8767)
//	drop             no answer before the context ends
//	panic            a panic with "TYPE OWNER"
package checkstest

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

//go:embed hostile.txt
var hostile string

// Hostile returns texts that a client may say, by name: those of hostile.txt, each as often as it says there.
func Hostile(t testing.TB) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for line := range strings.Lines(hostile) {
		var name, text string
		var times int
		if _, err := fmt.Sscanf(line, "%q %q %d", &name, &text, &times); err != nil {
			t.Fatalf("hostile.txt: %s: %v", line, err)
		}
		texts[name] = strings.Repeat(text, times)
	}
	return texts
}
