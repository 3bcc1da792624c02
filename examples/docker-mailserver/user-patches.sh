#!/bin/bash
# ./docker-data/dms/config/user-patches.sh, which docker-mailserver runs before its daemons start, when the
# milters of OpenDKIM or rspamd are in place; a line in postfix-main.cf would replace them.
# https://docker-mailserver.github.io/docker-mailserver/latest/config/advanced/override-defaults/user-patches/
milters=$(postconf -h smtpd_milters)
if [[ $milters != *helo-milter* ]]; then # a restart of the container runs this again
	postconf "smtpd_milters = { inet:helo-milter:8891, default_action=accept, command_timeout=15s } $milters"
	# Users keep what is there, without us: our header would tell everybody their addresses.
	postconf "user_milters = $milters"
	postconf -P 'submission/inet/smtpd_milters=$user_milters' 'submissions/inet/smtpd_milters=$user_milters'
fi
