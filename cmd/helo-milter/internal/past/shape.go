package past

import (
	"net/netip"
	"regexp"
	"strings"

	"helo-milter/checks/clean"
)

// Broken is the error of a line or message that cannot be read as a hop or a decision. The rest of its source
// can be read.
type Broken struct {
	Place  string // FILE:LINE
	Reason string // one of our fixed sentences
	Text   string // what could not be read, from the network, or ""
	Trust  string // what to give with --trusted so that it can be read, or ""
}

func (b *Broken) Error() string {
	text := b.Place + ": " + b.Reason
	if b.Text != "" {
		text += ": " + clean.Field(b.Text)
	}
	return text
}

// maxShape bounds a form, in bytes. The words that tell a form from others stand in its first hundred.
const maxShape = 200

// Form returns the text without what is of one message only: "from friend ([203.0.113.9])" becomes "from
// <name> ([<ip>])", so that all texts of one kind have one form. Only the words of mail servers are kept, so
// it has neither address nor name of anybody, and may be made public. It is printable ASCII of at most
// maxShape bytes.
func (b *Broken) Form() string {
	text := token.ReplaceAllStringFunc(cut(b.Text), shape)
	text = several.ReplaceAllString(strings.Join(strings.Fields(text), " "), "<name> ...")
	return text[:min(len(text), maxShape)]
}

var (
	// token matches what shape replaces: all but the punctuation that has a meaning in fields and log lines.
	token = regexp.MustCompile(`[^][(){}<>=@|,;"?/ \t]+`)

	// several matches names in a row, such as a subject.
	several = regexp.MustCompile(`<name>(?: <name>)+`)

	number = regexp.MustCompile(`^[vV]?\d+(?:[._-]\d+)*$`)
	marks  = regexp.MustCompile(`^[!-/:-@[-\x60{-~]*$`) // but punctuation
)

// shape returns the form of a token: an address, a number, a word that mail servers write, or a name.
func shape(text string) string {
	core := strings.TrimRight(text, ".:")
	end := text[len(core):]
	_, err := netip.ParseAddr(core)
	head, rest, colon := strings.Cut(core, ":")
	switch {
	case err == nil:
		return "<ip>" + end
	case strings.EqualFold(head, "IPv6"):
		return head + ":" + shape(rest) + end
	case colon:
		return shape(head) + ":" + shape(rest) + end
	case number.MatchString(core):
		return "<n>" + end
	case ownWords[core], marks.MatchString(core):
		return text
	default:
		return "<name>" + end
	}
}

// ownWords are what mail servers write of themselves, in upper and lower case as they do.
var ownWords = wordSet(`
	from From by via with id for envelope-from envelope-sender host port addr address ip IP
	HELO EHLO helo ehlo unknown Unknown UNKNOWN local localhost untrusted unverified verified
	may be forged RDNS rdns failed matches invoked network uid user account userid User Account
	Authenticated authenticated Authentication auth AUTH sender Sender bits ident IDENT login sasl SASL
	SMTP ESMTP smtp esmtp SMTPS smtps ESMTPS esmtps ESMTPA esmtpa ESMTPSA esmtpsa ASMTP asmtp UTF8SMTP
	UTF8SMTPS UTF8SMTPSA UTF8SMTPA LMTP lmtp LMTPA LMTPS HTTP http HTTPS https HTTPREST HTTPU API
	POP3 POP3S POP3-SSL POP IMAP IMAPS IMAP4 IMAP4-SSL NNTP UUCP QMQP qmqp QMTP Local MAPI mapi single-drop
	multi-drop using cipher version verify TLS tls SSL TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 TLS1 TLS1.2 TLS1.3
	TLS1_0 TLS1_1 TLS1_2 TLS1_3 encrypted de/crypted certificate Client client requested not did present No
	AppleMailServer Axigen Barracuda Cloudflare CommuniGate Pro Courier Cyrus Dovecot Domino Lotus Release
	Exim Exchange Fastmail FirstClass FortiMail fetchmail getmail Gmail gmailapi Google GroupWise Halon Haraka
	hMailServer IceWarp Merak InterMail InterScan IronPort James JAMES Apache Kerio Connect MailServer MDaemon
	MailEnable MailMarshal MailerQ Mailgun maddy Merak Mercury Microsoft Mail Server Service Internet Frontend
	Transport Proxy Momentum ecelerity msprvs1 ASSP mox chasquid NetMail NEMESIS NNFMP OpenSMTPD Oracle Messaging
	Postfix PMDF PowerMTA Proofpoint qmail qmail-ldap qpsmtpd Sendmail sendmail SMTPD SMTPSVC ESMTPSVC smtpd
	SpamAssassin Sophos spamd amavisd amavisd-new SquirrelMail Horde Roundcube IMP Stalwart Sun Java System
	SurgeMail Symantec Submit Trend Winmail Xmail XMail Zimbra ZMailer Smail Smail3 iPlanet eXtremail WinProxy
	--trusted invalid character looking beginning value unexpected end JSON input
	connect connection disconnect lost after timeout reject rejected warning error refused relay proto status
	NOQUEUE CONNECT RCPT MAIL DATA STARTTLS END-OF-MESSAGE to stat ruleset arg1 nrcpts msgid daemon size
	H F P A U R T X CV SNI S Q L C DKIM I K DN M8S in on of and no is was the a at out too many errors
	incomplete transaction temporarily dropped syntactically invalid argument argument(s) closed
`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(text) {
		set[word] = true
	}
	return set
}
