package past

import "testing"

// All texts of one kind have one form, in which there is nobody's name or address.
func TestForm(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{
			"from friend ([203.0.113.9] rly=mail.example.org) by mx.example.net (Relaymail 1.0) with ESMTP",
			"from <name> ([<ip>] <name>=<name>) by <name> (<name> <n>) with ESMTP",
		},
		{"from Alice ([IPv6:2001:db8::9]:4711 helo=[192.168.1.7])", "from <name> ([IPv6:<ip>]:<n> helo=[<ip>])"},
		{
			"from [203.0.113.9] (HELO ?192.168.1.7?) (alice@example.net@203.0.113.7)",
			"from [<ip>] (HELO ?<ip>?) (<name>@<name>@<ip>)",
		},
		{"from 203.0.113.9:25 (EHLO bücher) (Exim 4.96-2+deb12u1)", "from <ip>:<n> (EHLO <name>) (Exim <name>)"},
		{"mx_1[7] b'x\x1b[2J\u202e", "<name>[<n>] <name>[<name>"},
		{
			"Subject: an offer for Alice Example <alice@example.org>!",
			"<name>: <name> ... for <name> ... <<name>@<name>>!",
		},
		{"client=mail.example.org[203.0.113.9]: 4Xabc1", "client=<name>[<ip>]: <name>"},
		{"(using TLSv1.3 with cipher TLS_AES (256/256 bits))", "(using TLSv1.3 with cipher <name> (<n>/<n> bits))"},
		{"Nov 22 08:00:00 mx postfix/smtpd[7]", "<name> <n> <n>:<n>:<n> <name> .../smtpd[<n>]"},
	} {
		if got := (&Broken{Text: tt.text}).Form(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
