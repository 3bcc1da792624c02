package checks

import "testing"

// A domain of a brand is an organisational domain in canonical form, and belongs to one brand.
func TestBrandTable(t *testing.T) {
	n := 0
	for _, b := range brands {
		n += len(b.domains)
		for _, d := range append(b.domains[:len(b.domains):len(b.domains)], b.hosts...) {
			if orgDomain(d) != d || Canonical(d) != d {
				t.Errorf("%s is no organisational domain", d)
			}
		}
	}
	if len(brandByDomain) != n {
		t.Errorf("%d domains, but %d different ones", n, len(brandByDomain))
	}
}

func TestBrandOf(t *testing.T) {
	for name, want := range map[string]string{
		"yahoo.com":                              "ymail.com",
		"web.mail.yahoo.com.br":                  "ymail.com",
		"mta7.yahoo.co.jp":                       "yahoo.co.jp", // another company
		"evilyahoo.com":                          "",
		"yahoo.com.evil.example":                 "",
		"yahoo.example":                          "",
		"bob.microsoft.com":                      "microsoft.com",
		"x.protection.outlook.com":               "microsoft.com",
		"com":                                    "",
		"mail-a.1e100.net":                       "", // a host's name of theirs is worth no lie
		"1.2.3.bc.googleusercontent.com":         "",
		"ec2-1-2-3-4.compute-1.amazonaws.com":    "",
		"a85-218.smtp-out.eu-1.amazonses.com":    "amazon.com",
		"":                                       "",
		"relay.live.com":                         "microsoft.com",
		"live.example.com":                       "",
		"out203-205-221-128.mail.qq.com":         "qq.com",
		"66-220-155-151.mail-pages.facebook.com": "facebook.com",
	} {
		got := brandOf(name)
		if want == "" && got != nil || want != "" && (got == nil || !got.has(want)) {
			t.Errorf("%s is of %v, want %q", name, got, want)
		}
	}
}
