package checks

// Sentences that several rows share.
const (
	fixHelo = "Set the mail server's HELO name to its full public host name, such as mail.example.org."
	fixPTR  = "Ask whoever controls the address, usually the hosting or access provider, to set its PTR record " +
		"to the mail server's host name."
	fixDenied = "Contact this server's postmaster by other means to find out why."
	fixListed = "Ask the operator of the block list to remove the domain."
	fixMatch  = "Make the HELO name, the PTR record of the address and the address record of that name agree."
)

// All is the rule table: what is checked, in the order in which ties are settled. It must
// not be modified.
var All = []Rule{
	{
		Name: "helo-missing",
		Doc:  "no HELO or EHLO was sent before MAIL", Fix: "Send EHLO with your full host name first.",
		Code: Code{503, "5.5.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 3,
		On: FormMissing, Problem: said,
	},
	{
		Name: "helo-malformed",
		Doc:  "the HELO is neither a host name nor an address literal", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 3,
		On: FormMalformed, Problem: said,
	},
	{
		Name: "helo-underscore",
		Doc:  "the HELO name contains an underscore, which is not allowed in host names", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 3,
		On: FormName, Problem: heloUnderscore,
	},
	{
		Name: "helo-bare-ip",
		Doc:  "the HELO is an IP address without brackets", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 3,
		On: FormBareIP, Problem: said,
	},
	{
		Name: "helo-numeric",
		Doc:  "the HELO is a number or a disguised IP address", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 3,
		On: FormNumeric, Problem: said,
	},
	{
		Name: "helo-literal-malformed",
		Doc:  "the HELO is in brackets but is not a valid address literal (RFC 5321)", Fix: fixHelo,
		Code: Code{501, "5.5.2"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1,
		On: FormLiteralMalformed, Problem: said,
	},
	{
		Name: "helo-literal-mismatch",
		Doc:  "the HELO is an address literal, but not of the client's address", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 2,
		On: FormLiteral, Problem: heloLiteralMismatch,
	},
	{
		Name: "helo-literal",
		Doc:  "the HELO is an address literal", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Off, Off, Mark}, Score: 0.5,
		On: FormLiteral, Problem: said,
	},
	{
		Name: "helo-localhost",
		Doc:  "the HELO name is localhost, which does not identify the host", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.8,
		On: FormLocalhost, Problem: said,
	},
	{
		Name: "helo-not-fqdn",
		Doc:  "the HELO name is a single label, not a full host name", Fix: fixHelo,
		Code: Code{504, "5.5.2"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 2,
		On: FormSingle, Problem: said,
	},
	{
		Name: "helo-reserved-tld",
		Doc:  "the HELO name is under a reserved top-level domain and cannot exist in the public DNS",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0.8,
		On: FormReserved, Problem: said,
	},
	{
		Name: "helo-private-tld",
		Doc:  "the HELO name belongs to a private network and cannot exist in the public DNS", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 2.6,
		On: FormPrivate, Problem: said,
	},
	{
		Name: "helo-unknown-tld",
		Doc:  "the HELO name is under a top-level domain that does not exist", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.2,
		On: FormUnknownTLD, Clears: HeloAddrs, Problem: heloUnknownTLD,
	},
	{
		Name: "helo-public-suffix",
		Doc:  "the HELO is a public suffix, a domain under which others register names", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1,
		On: FormPublic, Problem: heloPublicSuffix,
	},
	{
		Name: "helo-own-address",
		Doc:  "the HELO is this server's own address, not the client's", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormBareIP | FormLiteral, Problem: heloOwnAddress,
	},
	{
		Name: "helo-own-name",
		Doc:  "the HELO is this server's own name, and nothing shows that the client has that name", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormDotted, Clears: Proof, Problem: heloOwnName,
	},
	{
		Name: "helo-rcpt-domain",
		Doc:  "the HELO is the recipient's domain, and nothing shows that the client belongs to it", Fix: fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 3,
		On: FormDotted, Clears: Proof, Problem: heloRcptDomain,
	},
	{
		Name: "helo-denied",
		Doc:  "the HELO is on this server's deny list", Fix: fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormAny, Problem: heloDenied,
	},
	{
		Name: "helo-host-denied",
		Doc:  "the client, or an address, MX or NS host of the HELO name, is on this server's deny list",
		Fix:  fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormClient, Reads: HeloHosts, Problem: heloHostDenied,
	},
	{
		Name: "helo-listed",
		Doc:  "the domain of the HELO name is on a block list", Fix: fixListed,
		Code: Code{554, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 4,
		On: FormLookedUp, Reads: HeloLists, Problem: heloListed,
	},
	{
		Name: "helo-unresolvable",
		Doc:  "the HELO name has no address record and no MX record",
		Fix:  "Publish an address record for the HELO name, or use a HELO name that has one.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0.2,
		On: FormPublic, Clears: HeloAddrs | HeloMX, Problem: heloUnresolvable,
	},
	{
		Name: "helo-bogus-address",
		Doc:  "the HELO name resolves only to addresses that are not on the public Internet",
		Fix:  "Publish the mail server's public address for its HELO name.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 3,
		On: FormLookedUp, Reads: HeloAddrs, Clears: HeloAddrs | Proof, Problem: heloBogusAddress,
	},
	{
		Name: "helo-ip-mismatch",
		Doc:  "the HELO name does not resolve to the client's address", Fix: fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.5,
		On: FormLookedUp, Reads: HeloAddrs, Clears: HeloAddrs, Problem: heloIPMismatch,
	},
	{
		Name: "helo-ptr-mismatch",
		Doc:  "no confirmed PTR name of the client matches the HELO name or its organisational domain",
		Fix:  fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.6,
		On: FormDotted, Clears: PTRAddrs, Problem: heloPTRMismatch,
	},
	{
		Name: "helo-bare-domain",
		Doc: "the HELO is a registered domain rather than a host in it, and nothing shows that the client " +
			"belongs to it",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 1,
		On: FormPublic, Clears: Proof, Problem: heloBareDomain,
	},
	{
		Name: "helo-unverified",
		Doc:  "neither the HELO name's address nor the client's PTR record shows that the name is the client's",
		Fix:  fixMatch,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.1,
		On: FormDotted, Clears: Proof, Problem: said,
	},
	{
		Name: "helo-forged-brand",
		Doc:  "the HELO claims to be a well-known mail provider, but the client is not one of its hosts",
		Fix:  fixHelo,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 4,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloForgedBrand,
	},
	{
		Name: "helo-brand-no-ptr",
		Doc:  "the HELO claims to be a well-known mail provider, but the client has no PTR record",
		Fix:  fixHelo,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 1,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloBrandNoPTR,
	},
	{
		Name: "helo-brand-host-no-ptr",
		Doc: "the HELO claims to be a host of a well-known mail provider whose SPF record leaves that open, and the " +
			"client has no PTR record",
		Fix:  fixHelo,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormPublic, Clears: Proof | HeloSPF | BrandSPF, Problem: heloBrandHostNoPTR,
	},
	{
		Name: "helo-spf",
		Doc:  "the SPF record of the HELO name does not authorize the client to use it",
		Fix:  "Add the address to the SPF record of the HELO name, or use the host's own name as its HELO name.",
		Code: Code{550, "5.7.23"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 3,
		On: FormLookedUp, Reads: HeloSPF, Clears: Proof, Problem: heloSPF,
	},
	{
		Name: "helo-generic",
		Doc:  "the HELO name looks like that of a dynamic address: it contains the address or dial-up words",
		Fix: "Give the mail server a name of its own, such as mail.example.org, in its HELO, PTR and address " +
			"records.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 2.2,
		On: FormDotted, Problem: heloGeneric,
	},
	{
		Name: "helo-changed",
		Doc:  "the client sent different HELO names in one session",
		Fix:  "Send the same host name in every HELO or EHLO.",
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 1,
		On: FormAny, Problem: heloChanged,
	},
	{
		Name: "ptr-missing",
		Doc:  "the client's address has no PTR record", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.5,
		On: FormClient, Clears: PTRNames, Problem: ptrMissing,
	},
	{
		Name: "ptr-unconfirmed",
		Doc:  "no PTR name of the client resolves back to its address",
		Fix:  "Publish an address record that points from the PTR name back to the address.",
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.2,
		On: FormClient, Clears: PTRAddrs, Problem: ptrUnconfirmed,
	},
	{
		Name: "ptr-malformed",
		Doc:  "no PTR name of the client is a valid host name", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1,
		On: FormClient, Reads: PTRNames, Problem: ptrMalformed,
	},
	{
		Name: "ptr-reserved",
		Doc:  "a PTR name of the client cannot exist in the public DNS", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1.5,
		On: FormClient, Reads: PTRNames, Problem: ptrReserved,
	},
	{
		Name: "ptr-generic",
		Doc:  "the client's PTR name is made from its address", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.2,
		On: FormClient, Reads: PTRNames, Problem: ptrGeneric,
	},
	{
		Name: "ptr-dynamic",
		Doc:  "the client's PTR name says that its address is dynamic", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 1,
		On: FormClient, Reads: PTRNames, Problem: ptrDynamic,
	},
	{
		Name: "ptr-many",
		Doc:  "the client has more than 10 PTR names",
		Fix:  "Keep one PTR record, with the mail server's host name.",
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormClient, Reads: PTRNames, Problem: ptrMany,
	},
	{
		Name: "ptr-denied",
		Doc:  "a PTR name of the client is on this server's deny list", Fix: fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormClient, Reads: PTRDenied, Problem: ptrDenied,
	},
	{
		Name: "ptr-listed",
		Doc:  "the domain of the client's PTR name is on a block list", Fix: fixListed,
		Code: Code{554, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 4,
		On: FormClient, Reads: PTRLists, Problem: ptrListed,
	},
}
