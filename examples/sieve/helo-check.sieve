# Files mail into Junk for what helo-milter found, from the header X-HELO-Check (RFC 5228, 5229, 5231).
#
# For one user, copy it to where Dovecot looks for the user's script (~/.dovecot.sieve), or its parts into the
# script that is there. For everybody, put it beside Dovecot's configuration, run sievec on it, and say in
# conf.d/90-sieve.conf:
#     sieve_before = /etc/dovecot/sieve/helo-check.sieve
#
# helo-milter removes an X-HELO-Check that comes with a message. While it is down, with default_action=accept, a
# message keeps a field that its sender wrote. So this script only files mail away, and forging the header
# gains nothing: add nothing that lets mail through for it.

require ["fileinto", "variables", "relational", "comparator-i;ascii-numeric"];

# What enforce mode would have refused.
if header :matches "X-HELO-Check" "reject;*" {
	fileinto "Junk";
	stop;
}

# Single rules, also where they only mark. What is between "rules=" and "; unsure=" failed, and a name ends with a
# comma or the semicolon: some begin like others.
if header :matches "X-HELO-Check" [
	"*rules=*helo-forged-brand,*; unsure=*", "*rules=*helo-forged-brand; unsure=*",
	"*rules=*helo-own-name,*; unsure=*", "*rules=*helo-own-name; unsure=*"
] {
	fileinto "Junk";
	stop;
}

# The sum over all rules that fail, 5.0 or more. The comparator knows whole numbers (RFC 4790, 9.1), so it gets
# what is before the point.
if header :matches "X-HELO-Check" "*; score=*.*" {
	if string :value "ge" :comparator "i;ascii-numeric" "${2}" "5" {
		fileinto "Junk";
		stop;
	}
}
