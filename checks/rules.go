package checks

import "slices"

// Sentences that several rows share.
const (
	fixHelo = "Set the mail server's HELO name to its full public host name, such as mail.example.org."
	fixPTR  = "Ask whoever controls the address, usually the hosting or access provider, to set its PTR record " +
		"to the mail server's host name."
	fixDenied = "Contact this server's postmaster by other means to find out why."
	fixListed = "Ask the operator of the block list to remove the domain."
	fixMatch  = "Make the HELO name, the PTR record of the address and the address record of that name agree."
)

// All is the rule table: what is checked, in the order in which ties are settled. It must not be modified.
//
// The comment in a row answers what every rule is asked before it may refuse: which good sender could this refuse,
// and what in the facts clears him? "Proof" is Case.Proven. What no public data measures is not refused by careful.
var All = slices.Concat(heloRules, ptrRules)

// heloRules are about what the client says of itself; ptrRules (ptr_rules.go), with their functions, are about its
// reverse DNS.
var heloRules = []Rule{
	{
		// None: RFC 5321 §4.1.4 asks for EHLO or HELO first, and every mail server sends it.
		Name: "helo-missing",
		Doc:  "no HELO or EHLO was sent before MAIL", Fix: "Send EHLO with your full host name first.",
		Code: Code{503, "5.5.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormMissing, Problem: said,
	},
	{
		// Domino that says NOTES1/ACME, an appliance with a space in its name. Nothing clears; careful
		// marks.
		Name: "helo-malformed",
		Doc:  "the HELO is neither a host name nor an address literal", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 5,
		On: FormMalformed, Problem: said,
	},
	{
		// A Windows host with such a name. Nothing clears, so careful marks; of 18,278 ham hops none has
		// it.
		Name: "helo-underscore",
		Doc:  "the HELO name contains an underscore, which is not allowed in host names", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 5,
		On: FormName, Problem: heloUnderscore,
	},
	{
		// A printer, a script with curl or a phone system outside your networks (one ham hop in 18,278):
		// exempt its network.
		Name: "helo-bare-ip",
		Doc:  "the HELO is an IP address without brackets", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormBareIP, Problem: said,
	},
	{
		// None is known: no host has such a name.
		Name: "helo-numeric",
		Doc:  "the HELO is a number or a disguised IP address", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormNumeric, Problem: said,
	},
	{
		// A client that writes [2001:db8::1] without the tag IPv6:. Nothing clears; only strict refuses.
		Name: "helo-literal-malformed",
		Doc:  "the HELO is in brackets but is not a valid address literal (RFC 5321)", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormLiteralMalformed, Problem: said,
	},
	{
		// A mail program or Exchange behind NAT that says its inside address. Nothing clears; only strict
		// refuses.
		Name: "helo-literal-mismatch",
		Doc:  "the HELO is an address literal, but not of the client's address", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormLiteral, Problem: heloLiteralMismatch,
	},
	{
		// Legal by RFC 5321 §4.1.4, so it is never refused.
		Name: "helo-literal",
		Doc:  "the HELO is an address literal", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Off, Off, Mark}, Score: 0,
		On: FormLiteral, Problem: said,
	},
	{
		// An application on a rented host that never set its name. Nothing clears; only strict refuses.
		Name: "helo-localhost",
		Doc:  "the HELO name is localhost, which does not identify the host", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0.1,
		On: FormLocalhost, Problem: said,
	},
	{
		// A host that never set its domain ("mail"). Nothing clears; only strict refuses.
		Name: "helo-not-fqdn",
		Doc:  "the HELO name is a single label, not a full host name", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.2,
		On: FormSingle, Problem: said,
	},
	{
		// Exchange in an Active Directory domain under .local. Nothing clears; only strict refuses.
		Name: "helo-reserved-tld",
		Doc:  "the HELO name is under a reserved top-level domain and cannot exist in the public DNS",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormReserved, Problem: said,
	},
	{
		// The same under .lan or .corp. Nothing clears; only strict refuses.
		Name: "helo-private-tld",
		Doc:  "the HELO name belongs to a private network and cannot exist in the public DNS", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormPrivate, Problem: said,
	},
	{
		// A host under a TLD younger than our list: cleared by an address in the DNS. Only strict refuses.
		Name: "helo-unknown-tld",
		Doc:  "the HELO name is under a top-level domain that does not exist", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormUnknownTLD, Clears: HeloAddrs, Problem: heloUnknownTLD,
	},
	{
		// A registry that sends as its suffix. Nothing clears; only strict refuses.
		Name: "helo-public-suffix",
		Doc:  "the HELO is a public suffix, a domain under which others register names", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormPublic, Problem: heloPublicSuffix,
	},
	{
		// Ourselves, from another of our addresses: cleared by site.addresses. A host behind our NAT:
		// exempt it.
		Name: "helo-own-address",
		Doc:  "the HELO is this server's own address, not the client's", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormBareIP | FormLiteral, Problem: heloOwnAddress,
	},
	{
		// Our web server, second MX, or newsletter host: cleared by proof. One without PTR and address
		// record: exempt it.
		Name: "helo-own-name",
		Doc:  "the HELO is this server's own name, and nothing shows that the client has that name", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormDotted, Clears: Proof, Problem: heloOwnName,
	},
	{
		// A hoster that greets as his customer, or one host for web and mail: cleared by proof. Only strict
		// refuses.
		Name: "helo-rcpt-domain",
		Doc:  "the HELO is the recipient's domain, and nothing shows that the client belongs to it", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormDotted, Clears: Proof, Problem: heloRcptDomain,
	},
	{
		// Whomever the administrator lists.
		Name: "helo-denied",
		Doc:  "the HELO is on this server's deny list", Fix: fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormAny, Problem: heloDenied,
	},
	{
		// Whoever shares an MX or name server with somebody on the list.
		Name: "helo-host-denied",
		Doc:  "the client, or an address, MX or NS host of the HELO name, is on this server's deny list",
		Fix:  fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormClient, Reads: HeloHosts, Problem: heloHostDenied,
	},
	{
		// A domain that is listed by mistake. Nothing clears, so careful marks.
		Name: "helo-listed",
		Doc:  "the domain of the HELO name is on a block list", Fix: fixListed,
		Code: Code{554, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 0,
		On: FormLookedUp, Reads: HeloLists, Problem: heloListed,
	},
	{
		// A host whose HELO name is not in the DNS, its PTR name is. Only strict refuses.
		Name: "helo-unresolvable",
		Doc:  "the HELO name has no address record and no MX record",
		Fix:  "Publish an address record for the HELO name, or use a HELO name that has one.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormPublic, Clears: HeloAddrs | HeloMX, Problem: heloUnresolvable,
	},
	{
		// A host behind NAT whose published name leads inside: cleared by proof of its organisation.
		// Careful marks.
		Name: "helo-bogus-address",
		Doc:  "the HELO name resolves only to addresses that are not on the public Internet",
		Fix:  "Publish the mail server's public address for its HELO name.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 0,
		On: FormLookedUp, Reads: HeloAddrs, Clears: HeloAddrs | Proof, Problem: heloBogusAddress,
	},
	{
		// Every pool that sends from other addresses than its name has: RFC 5321 §4.1.4, so it is never
		// refused.
		Name: "helo-ip-mismatch",
		Doc:  "the HELO name does not resolve to the client's address", Fix: fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormLookedUp, Reads: HeloAddrs, Clears: HeloAddrs, Problem: heloIPMismatch,
	},
	{
		// Every host with the name of its hoster in the PTR record: never refused, for the same reason.
		Name: "helo-ptr-mismatch",
		Doc:  "no confirmed PTR name of the client matches the HELO name or its organisational domain",
		Fix:  fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 1.2,
		On: FormDotted, Clears: PTRAddrs, Problem: heloPTRMismatch,
	},
	{
		// One host for web and mail, named by its domain: cleared by proof, and never refused.
		Name: "helo-bare-domain",
		Doc: "the HELO is a registered domain rather than a host in it, and nothing shows that the client " +
			"belongs to it",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.5,
		On: FormPublic, Clears: Proof, Problem: heloBareDomain,
	},
	{
		// A host behind NAT, or a new one whose DNS is not ready: never refused, RFC 5321 §4.1.4.
		Name: "helo-unverified",
		Doc:  "neither the HELO name's address nor the client's PTR record shows that the name is the client's",
		Fix:  fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormDotted, Clears: Proof, Problem: said,
	},
	{
		// A provider's relay with a PTR name in a domain that our table lacks: cleared by its address and
		// by SPF.
		Name: "helo-forged-brand",
		Doc:  "the HELO claims to be a well-known mail provider, but the client is not one of its hosts",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloForgedBrand,
	},
	{
		// A provider's relay without a PTR record: cleared by its address and by the SPF record of name and
		// domain.
		Name: "helo-brand-no-ptr",
		Doc:  "the HELO claims to be a well-known mail provider, but the client has no PTR record",
		Fix:  fixHelo,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloBrandNoPTR,
	},
	{
		// The same, if the SPF record does not have it and leaves that open (?all): never refused.
		Name: "helo-brand-host-no-ptr",
		Doc: "the HELO claims to be a host of a well-known mail provider whose SPF record leaves that open, and the " +
			"client has no PTR record",
		Fix:  fixHelo,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloBrandHostNoPTR,
	},
	{
		// A pool that its own record forgets (Microsoft 365's relay pool): cleared by proof. Careful marks.
		Name: "helo-spf",
		Doc:  "the SPF record of the HELO name does not authorize the client to use it",
		Fix:  "Add the address to the SPF record of the HELO name, or use the host's own name as its HELO name.",
		Code: Code{550, "5.7.23"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 0,
		On: FormLookedUp, Reads: HeloSPF, Clears: Proof, Problem: heloSPF,
	},
	{
		// A server at home or on a rented host whose name was never changed. Nothing clears; only strict
		// refuses.
		Name: "helo-generic",
		Doc:  "the HELO name looks like that of a dynamic address: it contains the address or dial-up words",
		Fix: "Give the mail server a name of its own, such as mail.example.org, in its HELO, PTR and address " +
			"records.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0.3,
		On: FormDotted, Problem: heloGeneric,
	},
	{
		// A client that goes on as another after STARTTLS: never refused.
		Name: "helo-changed",
		Doc:  "the client sent different HELO names in one session",
		Fix:  "Send the same host name in every HELO or EHLO.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormAny, Problem: heloChanged,
	},
	{
		// A name that a provider gives all its hosts. Off until live mail has shown what it finds. Cleared by proof.
		Name: "helo-shared",
		Doc:  "clients in 3 networks or more said this HELO name within 7 days, and it is not proven to be this client's",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Off, Off, Off}, Score: 0,
		On: FormLookedUp, Reads: SeenNetworks, Clears: Proof, Problem: heloShared,
	},
	{
		// A gateway in front of many hosts. Off, as helo-shared. Nothing clears.
		Name: "helo-many",
		Doc:  "the client said 10 HELO names or more within 7 days",
		Fix:  "Send the same host name in every HELO or EHLO.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Off, Off, Off}, Score: 0,
		On: FormClient, Reads: SeenNames, Problem: heloMany,
	},
}
