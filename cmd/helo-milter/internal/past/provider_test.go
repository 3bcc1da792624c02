package past

import (
	"strings"
	"testing"
)

// Fields of widespread mailboxes. mail.example.org of 203.0.113.9 has sent all messages.
const (
	gmail = "by 2002:a05:6359:8b10:b0:18d:1a2b:3c4d with SMTP id x16csp1234567rwh"
	g2008 = "by 10.86.92.7 with SMTP id p7mr15645159fgb.72.1210655302147"
	gmx   = "from mail.example.org (mail.example.org. [203.0.113.9]) by mx.google.com with ESMTPS id a1si9edc.55"

	store = "from AM6PR10MB0001.EURPRD10.PROD.OUTLOOK.COM (::1) " +
		"by CWXP265MB2695.GBRP265.PROD.OUTLOOK.COM with HTTPS"
	server = "from AM6PR10CA0043.EURPRD10.PROD.OUTLOOK.COM (2603:10a6:209:80::20) " +
		"by CWXP265MB2695.GBRP265.PROD.OUTLOOK.COM (2603:10a6:400:88::6) with Microsoft SMTP Server id 15.20"
	front = "from VE1EUR03FT053.eop-EUR03.prod.protection.outlook.com (2603:10a6:209:80:cafe::17) " +
		"by AM6PR10CA0043.outlook.office365.com (2603:10a6:209:80::20) with Microsoft SMTP Server id 15.20"
	front400 = "from VE1EUR03FT053.eop-EUR03.prod.protection.outlook.com (2a01:111:f400:7e0d::203) " +
		"by AM6PR10CA0043.outlook.office365.com (2603:10a6:209:80::20) with Microsoft SMTP Server id 15.20"
	eop = "from mail.example.org (203.0.113.9) by VE1EUR03FT053.mail.protection.outlook.com (10.152.19.198) " +
		"with Microsoft SMTP Server id 15.20"

	yahoo = "from 10.217.136.93 by atlas116.free.mail.ne1.yahoo.com pod-id NONE with HTTPS"
	y10   = "from 203.0.113.9 (EHLO mail.example.org) by 10.217.136.93 with SMTPs"
	mta   = "from 127.0.0.1  (EHLO mail.example.org) (203.0.113.9) by mta4212.mail.bf1.yahoo.com with SMTPS"

	lmtp   = "from mx1 ([10.202.2.200]) by compute1.internal (LMTPProxy)"
	filter = "from mx1.messagingengine.com (localhost [127.0.0.1]) " +
		"by mx1.messagingengine.com (Authentication Milter) with ESMTP"
	fast = "from mail.example.org (mail.example.org [203.0.113.9]) " +
		"by mx1.messagingengine.com (Postfix) with ESMTPS id 1"

	apple = "from st11p00mm-smtpin007.mac.com ([17.172.84.240]) " +
		"by ms06561.mac.com (Oracle Messaging Server) with SMTP"
	smtpin = "from mail.example.org ([203.0.113.9]) " +
		"by st11p00mm-smtpin007.mac.com (Oracle Messaging Server) with SMTP"

	getmail   = "from pop.example.net ([192.0.2.110]:995) by toy.home.arpa with POP3-SSL"
	fetchmail = "from imap.example.net [192.0.2.110] by toy.home.arpa with IMAP (fetchmail-6.4.37)"
	mx        = "from mail.example.org (mail.example.org [203.0.113.9]) by mx.example.net (Postfix) with SMTP"
	again     = "from localhost (localhost [127.0.0.1]) by mx.example.net (Postfix) with ESMTP id 2"
	amavis    = "from mx.example.net ([127.0.0.1]) by localhost (amavisd-new, port 10024) with ESMTP id 3"

	// What a client may write below.
	forged = "from good.example.com (good.example.com [198.51.100.1]) by "
)

// The hop of a widespread mailbox is found without --trusted, or the error says what to give.
func TestProviders(t *testing.T) {
	for _, tt := range []struct {
		trusted string
		mail    []string
		want    string
	}{
		{"", []string{gmail, gmx, forged + "mx.google.com with ESMTPS"}, "203.0.113.9"},
		{"", []string{g2008, gmail, gmx}, "203.0.113.9"},
		{"", []string{gmail, strings.Replace(gmx, "by mx.", "by gmr-mx.", 1)}, "203.0.113.9"},
		{"", []string{gmail, strings.Replace(gmx, "by mx.google.com", "by smtp.gmail.com", 1)}, "203.0.113.9"},
		{"", []string{gmail, mx}, "--trusted mx.example.net"}, // Google fetched it there
		{"", []string{gmx, forged + "mx.google.com with ESMTPS"}, "203.0.113.9"},

		{"", []string{store, server, front, eop, forged + "X.mail.protection.outlook.com"}, "203.0.113.9"},
		{"", []string{server, front, eop}, "203.0.113.9"},
		{"", []string{server, front400, eop}, "203.0.113.9"},
		{"", []string{store, server, server, front, eop}, "203.0.113.9"},
		{"", []string{store, server, front, mx}, "--trusted mx.example.net"},
		{".protection.outlook.com", []string{store, server, front, eop}, "203.0.113.9"},
		{".outlook.com,.office365.com", []string{store, server, front, eop}, "203.0.113.9"},
		// A HELO in outlook.com is nothing, nor is Azure, nor what Exchange Online sends for others.
		{"", []string{
			server, front,
			strings.Replace(eop, "mail.example.org (203.0.113.9)", "X.prod.outlook.com (203.0.113.66)", 1),
			forged + "X.mail.protection.outlook.com",
		}, "203.0.113.66"},
		{"", []string{
			server, front, strings.Replace(eop, "203.0.113.9", "2603:1020:201:10::10f", 1),
			forged + "X.mail.protection.outlook.com",
		}, "2603:1020:201:10::10f"},
		{"", []string{
			server, front, strings.Replace(eop, "203.0.113.9", "2a01:111:f403:c803::2", 1),
			forged + "X.mail.protection.outlook.com",
		}, "2a01:111:f403:c803::2"},
		{"", []string{server, strings.Replace(eop, "203.0.113.9", "203.0.113.X", 1), eop}, "unknown form"},

		{"", []string{yahoo, y10, forged + "10.217.136.93 with SMTP"}, "203.0.113.9"},
		{"", []string{mta, forged + "mta4212.mail.bf1.yahoo.com with SMTP"}, "203.0.113.9"},

		{"", []string{apple, smtpin, forged + "ms06561.mac.com"}, "203.0.113.9"},
		{"", []string{lmtp, filter, fast, forged + "mx1.messagingengine.com"}, "203.0.113.9"},

		{"", []string{getmail, mx}, "--trusted mx.example.net"},
		{"mx.example.net", []string{getmail, mx}, "203.0.113.9"},
		{"", []string{getmail, again, amavis, mx}, "--trusted mx.example.net"},
		{"mx.example.net", []string{getmail, again, amavis, mx}, "203.0.113.9"},
		{"", []string{fetchmail, mx}, "--trusted mx.example.net"},
		{"", []string{getmail, gmail, gmx}, "--trusted mx.google.com"},
		{"mx.google.com", []string{getmail, gmail, gmx}, "203.0.113.9"},
		{"", []string{getmail, server, front, eop}, "--trusted .protection.outlook.com"},
		{"", []string{getmail, yahoo, y10}, "--trusted .yahoo.com"},
		{".yahoo.com", []string{getmail, yahoo, y10}, "203.0.113.9"},
		{"", []string{getmail, mta}, "--trusted .yahoo.com"},
		{"", []string{getmail, "from friend by `rm` (Postfix) with SMTP"}, "--trusted HOST"},
	} {
		var fields []field
		for _, value := range tt.mail {
			fields = append(fields, field{"received", []byte(value)})
		}
		h, broken := newTrust(tt.trusted).handOver(fields)
		got := h.Client.String()
		if broken != nil {
			got = broken.Reason
			if broken.Reason == untrusted {
				got = broken.Text
			}
		}
		if !strings.HasPrefix(got, tt.want) {
			mail := strings.Join(tt.mail, "\n\t")
			t.Errorf("--trusted %q, %s: %s (%v), want %s", tt.trusted, mail, got, broken, tt.want)
		}
	}
}
