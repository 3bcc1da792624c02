package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fieldName checks the name of our header field, by RFC 5322 §2.2: every field of that name is removed from
// every message before ours is added, so that it must not be one that mail needs.
func fieldName(s string) error {
	if s == "" || strings.Contains(s, ":") || printable(s, 76) != nil {
		return fmt.Errorf("%q is not a header field name", s)
	}
	if strings.EqualFold(s, "Authentication-Results") {
		return errors.New("is the name of another field: use header.authentication_results for that")
	}
	if !hasPrefixFold(s, "X-") && hasMeaning(s) {
		return fmt.Errorf("%q has a meaning in mail, and fields of the name given here are removed from every "+
			"message: choose a name of your own that begins with X-, such as X-HELO-Check", s)
	}
	return nil
}

// hasMeaning reports whether a field name has a meaning in mail: all names that begin with Content- are
// MIME's (RFC 2045 §9), all that begin with Resent- belong to a block of those (RFC 5322 §3.6.6).
func hasMeaning(name string) bool {
	known := func(list string) bool {
		return slices.ContainsFunc(strings.Fields(list), func(n string) bool { return strings.EqualFold(n, name) })
	}
	return hasPrefixFold(name, "Content-") || hasPrefixFold(name, "Resent-") || hasPrefixFold(name, "X-Spam-") ||
		known(registeredFields) || known(customaryFields)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// registeredFields are the names that stood in IANA's registry "Message Headers"
// (https://www.iana.org/assignments/message-headers) on 2025-04-01, permanent and provisional ones, of mail,
// MIME, netnews and none. That registry grows by a name or two in a year.
const registeredFields = `
Accept-Language Also-Control Alternate-Recipient Apparently-To Approved ARC-Authentication-Results
ARC-Message-Signature ARC-Seal Archive Archived-At Article-Names Article-Updates Authentication-Results
Author Auto-Submitted Autoforwarded Autosubmitted Base Bcc Body Cancel-Key Cancel-Lock Cc CFBL-Address
CFBL-Feedback-ID Comments Content-Alternative Content-Base Content-Description Content-Disposition
Content-Duration Content-features Content-ID Content-Identifier Content-Language Content-Location
Content-MD5 Content-Return Content-Transfer-Encoding Content-Translation-Type Content-Type Control
Conversion Conversion-With-Loss Date Date-Received Deferred-Delivery Delivered-To Delivery-Date
Discarded-X400-IPMS-Extensions Discarded-X400-MTS-Extensions Disclose-Recipients
Disposition-Notification-Options Disposition-Notification-To Distribution DKIM-Signature
DL-Expansion-History Downgraded-Bcc Downgraded-Cc Downgraded-Disposition-Notification-To
Downgraded-Final-Recipient Downgraded-From Downgraded-In-Reply-To Downgraded-Mail-From
Downgraded-Message-Id Downgraded-Original-Recipient Downgraded-Rcpt-To Downgraded-References
Downgraded-Reply-To Downgraded-Resent-Bcc Downgraded-Resent-Cc Downgraded-Resent-From
Downgraded-Resent-Reply-To Downgraded-Resent-Sender Downgraded-Resent-To Downgraded-Return-Path
Downgraded-Sender Downgraded-To EDIINT-Features Eesst-Version Encoding Encrypted Errors-To Expires
Expiry-Date Face Followup-To Form-Sub From Generate-Delivery-Report HP-Outer Importance In-Reply-To
Incomplete-Copy Injection-Date Injection-Info Jabber-ID Keywords Language Latest-Delivery-Time Lines
List-Archive List-Help List-ID List-Owner List-Post List-Subscribe List-Unsubscribe
List-Unsubscribe-Post Message-Context Message-ID Message-Type MIME-Version
MMHS-Acp127-Message-Identifier MMHS-Authorizing-Users MMHS-Codress-Message-Indicator
MMHS-Copy-Precedence MMHS-Exempted-Address MMHS-Extended-Authorisation-Info MMHS-Handling-Instructions
MMHS-Message-Instructions MMHS-Message-Type MMHS-Originator-PLAD MMHS-Originator-Reference
MMHS-Other-Recipients-Indicator-CC MMHS-Other-Recipients-Indicator-To MMHS-Primary-Precedence
MMHS-Subject-Indicator-Codes MT-Priority Newsgroups NNTP-Posting-Date NNTP-Posting-Host Obsoletes
Organization Original-Encoded-Information-Types Original-From Original-Message-ID Original-Recipient
Original-Sender Original-Subject Originator-Return-Address Path PICS-Label Posting-Version
Prevent-NonDelivery-Report Priority Privicon Received Received-SPF References Relay-Version Reply-By
Reply-To Require-Recipient-Valid-Since Resent-Bcc Resent-Cc Resent-Date Resent-From Resent-Message-ID
Resent-Reply-To Resent-Sender Resent-To Return-Path See-Also Sender Sensitivity SIO-Label
SIO-Label-History Solicitation Subject Summary Supersedes TLS-Report-Domain TLS-Report-Submitter
TLS-Required To User-Agent VBR-Info Wrong-Recipient X-Archived-At X-Face X-Mittente X-PGP-Sig X-Ricevuta
X-Riferimento-Message-ID X-TipoRicevuta X-Trasporto X-VerificaSicurezza X400-Content-Identifier
X400-Content-Return X400-Content-Type X400-MTS-Identifier X400-Originator X400-Received X400-Recipients
X400-Trace Xref`

// customaryFields have no entry there, but Sendmail (conf.c, HdrInfo) or Postfix (header_opts.c) know them, RFC 2076
// or RFC 4870 describe them, or mailing lists and mail programs act on them. Text and Message end the header of a
// message in Sendmail.
const customaryFields = `
Content-Length DomainKey-Signature Envelope-To Fax Feedback-ID Full-Name Mail-Followup-To Mail-From
Mail-Reply-To Mailing-List Message P1-Message-ID P1-Recipient Phone Precedence Received-From
Return-Receipt-To Status Telefax Text Via`
