package integration

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
	"github.com/emersion/go-msgauth/dkim"

	"helo-milter/integration/rig"
)

const (
	withResults = "[header]\nauthentication_results = true\n"

	// Fields of two other hosts, and fields that claim our authserv-id, in each way to write it.
	mixedResults = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=forged\n" +
		"Authentication-Results: example.org;\n\tdkim=pass header.d=first\n" +
		"Authentication-Results: example.com 1; spf=fail smtp.helo=mx.example.net; x=second\n" +
		"AUTHENTICATION-RESULTS: (a;b) MX.Example.Net.\n\t1; spf=pass smtp.mailfrom=forged\n" +
		"From: sender@example.org\n" +
		"authentication-results:\"mx.example.net\"; spf=pass smtp.mailfrom=forged\n" +
		"Authentication-Results: (mx.example.net; spf=pass smtp.mailfrom=forged\n" +
		"Authentication-Results: example.org; dkim=pass header.d=third\n" +
		"Subject: a message\n" +
		"\nHello.\n"
)

// results returns the Authentication-Results of a message from the top, and their positions in its header.
func results(mail rig.Mail) (values []string, at []int) {
	for i, h := range mail.Headers() {
		if strings.EqualFold(h.Name, "Authentication-Results") {
			values, at = append(values, h.Value), append(at, i)
		}
	}
	return values, at
}

// Our field is above all that came with the message, fields that claim our authserv-id are removed, and the
// others are unchanged and in order.
func TestAuthResults(t *testing.T) {
	others := []string{
		"example.org; dkim=pass header.d=first",
		"example.com 1; spf=fail smtp.helo=mx.example.net; x=second",
		"example.org; dkim=pass header.d=third",
	}
	for _, tt := range []struct{ client, says, config, ours string }{
		{
			"203.0.113.10", "EHLO mail.example.org", "",
			"mx.example.net; iprev=pass policy.iprev=203.0.113.10 (mail.example.org)",
		},
		{"203.0.113.30", "EHLO mail.example.org", "", "mx.example.net; iprev=permerror policy.iprev=203.0.113.30"},
		{"203.0.113.32", "EHLO mail.example.org", "", "mx.example.net; iprev=fail policy.iprev=203.0.113.32"},
		{"203.0.113.66", "EHLO mail.example.org", "", "mx.example.net; iprev=temperror policy.iprev=203.0.113.66"},
		{
			"2001:db8::10", "EHLO mail6.example.org", "",
			`mx.example.net; iprev=pass policy.iprev="2001:db8::10" (mail6.example.org)`,
		},
		{
			"203.0.113.10", "EHLO friend", allowOrg, // exempt by its confirmed name
			"mx.example.net; iprev=pass policy.iprev=203.0.113.10 (mail.example.org)",
		},
		{"127.0.0.1", "EHLO friend", "", ""},
		{"203.0.113.10", "XCLIENT LOGIN=someone|EHLO friend", "", ""},
	} {
		for _, mta := range rig.MTAs {
			v := variant{mta, "observe", "unix"}
			if v.unsupported(tt.says) != "" {
				continue
			}
			t.Run(mta+" "+tt.client+" "+tt.says, func(t *testing.T) {
				t.Parallel()
				s := v.session(t, withResults+tt.config, tt.client, tt.says, mixedResults)
				mail := s.sink.Wait(t, 1)[0]
				s.soleHeader(mail)
				want := others
				if tt.ours != "" {
					want = slices.Insert(slices.Clone(others), 0, tt.ours)
				}
				values, places := results(mail)
				atTop := tt.ours == "" || places[0] == 1 // under X-HELO-Check
				if !slices.Equal(values, want) || !atTop || strings.Contains(mail.Text, "mailfrom=forged") {
					t.Errorf("want %q\n got %q at %d\n%s\n%s", want, values, places, mail.Text, s.milter.Log())
				}
				if tt.ours != "" {
					checkParsed(t, values[0], tt.client)
				}
			})
		}
	}
}

// checkParsed requires that go-msgauth parses our field.
func checkParsed(t *testing.T, value, client string) {
	t.Helper()
	id, list, err := authres.Parse(value)
	if err != nil || id != "mx.example.net" || len(list) != 1 {
		t.Fatalf("%s: %q, %v, %v", value, id, list, err)
	}
	if r, ok := list[0].(*authres.IPRevResult); !ok || strings.Trim(r.IP, `"`) != client {
		t.Errorf("%s: %+v", value, list[0])
	}
}

// A DKIM signature stays valid behind us, whatever we add and remove; it covers an Authentication-Results of
// another host. The same check fails for a changed message.
func TestDKIM(t *testing.T) {
	const signedText = "Authentication-Results: example.org; spf=pass smtp.mailfrom=first\n" +
		"From: sender@example.org\n" +
		"Subject: =?utf-8?q?a_signed?=\n  message\n" +
		"To: reader@example.net\n" +
		"Date: Sun, 22 Nov 2026 07:00:00 +0000\n" +
		"Message-Id: <signed@example.org>\n" +
		"\nHello.\n  two  spaces \n\n"
	const unsigned = "X-HELO-Check: accept; forged\nAuthentication-Results: mx.example.net; dkim=pass\n"
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range []dkim.Canonicalization{
		dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed,
		dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed,
	} {
		mta := rig.MTAs[n/2]
		t.Run(mta+" "+string(c), func(t *testing.T) {
			t.Parallel()
			var signed bytes.Buffer
			err := dkim.Sign(&signed, strings.NewReader(crlf(signedText)), &dkim.SignOptions{
				Domain: "example.org", Selector: "test", Signer: private,
				HeaderCanonicalization: c, BodyCanonicalization: c,
				HeaderKeys: []string{"From", "Subject", "To", "Date", "Message-Id", "Authentication-Results"},
			})
			if err != nil {
				t.Fatal(err)
			}
			message := unsigned + strings.ReplaceAll(signed.String(), "\r\n", "\n")
			v := variant{mta, "enforce", "inet"}
			s := v.session(t, withResults, "203.0.113.10", "EHLO mail.example.org", message)
			mail := s.sink.Wait(t, 1)[0]
			values, _ := results(mail)
			if len(values) != 2 || !strings.HasPrefix(values[0], "mx.example.net; iprev=pass") ||
				strings.Contains(mail.Text, "forged") || strings.Contains(mail.Text, "dkim=pass") {
				t.Errorf("%q in\n%s", values, mail.Text)
			}
			if err := verifyDKIM(t, mail.Text, public); err != nil {
				t.Errorf("%v\n%s", err, mail.Text)
			}
			for _, change := range []string{"smtp.mailfrom=first", "a_signed", "Hello."} {
				if verifyDKIM(t, strings.Replace(mail.Text, change, "x", 1), public) == nil {
					t.Errorf("it is still valid without %q", change)
				}
			}
		})
	}
}

// verifyDKIM verifies the one signature of a message.
func verifyDKIM(t *testing.T, text string, key ed25519.PublicKey) error {
	t.Helper()
	list, err := dkim.VerifyWithOptions(strings.NewReader(crlf(text)), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "test._domainkey.example.org" {
				t.Errorf("looked up %s", name)
			}
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)}, nil
		},
	})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0].Err
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
