# bash completion for helo-milter(8). Written by go test ./cmd/helo-milter -update.

_helo_milter() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag="" command="" flags i
	COMPREPLY=()
	# "--config=FILE" is three words, because "=" divides words.
	if [[ $cur == = ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 1]} cur=""
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == -* ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 1]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		serve) command=serve ;;
		opensmtpd) command=opensmtpd ;;
		check) command=check ;;
		show) command=show ;;
		replay) command=replay ;;
		report) command=report ;;
		allow) command=allow ;;
		deny) command=deny ;;
		selftest) command=selftest ;;
		rules) command=rules ;;
		config) command=config ;;
		version) command=version ;;
		*) continue ;;
		esac
		break
	done

	case $command$flag in
	*--config)
		_helo_milter_files
		return
		;;
	check--rcpt)
		: # A recipient, for the rules about recipients.
		return
		;;
	check--dns)
		: # Ask this DNS server instead of the usual ones.
		return
		;;
	replay--since)
		: # Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339).
		return
		;;
	replay--trusted)
		: # For mail: host, or .domain, whose Received fields to trust.
		return
		;;
	replay--ham)
		_helo_milter_files
		return
		;;
	replay--spam)
		_helo_milter_files
		return
		;;
	report--since)
		: # Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339).
		return
		;;
	report--mail)
		: # Mail this page and a letter about the last 7 days.
		return
		;;
	report--sendmail)
		_helo_milter_files
		return
		;;
	selftest--listen-for)
		: # Accept SMTP sessions there and judge the first HELO.
		return
		;;
	selftest--wait)
		: # How long to wait for it.
		return
		;;
	selftest--every)
		: # How often, at least 1s.
		return
		;;
	selftest--dns)
		: # Ask this DNS server instead of the usual ones.
		return
		;;
	esac

	case $command in
	"")
		flags="--help -h --config"
		[[ $cur == -* ]] || COMPREPLY=($(compgen -W "serve opensmtpd check show replay report allow deny selftest rules config version" -- "$cur"))
		;;
	serve)
		flags="--help -h --config"
		;;
	opensmtpd)
		flags="--help -h --config"
		;;
	check)
		flags="--help -h --config --json --mail --rcpt --dns --all"
		;;
	show)
		flags="--help -h --config --json"
		[[ $cur == -* ]] || _helo_milter_files
		;;
	replay)
		flags="--help -h --config --json --recorded-dns --since --trusted --ham --spam --verbose -v"
		[[ $cur == -* ]] || _helo_milter_files
		;;
	report)
		flags="--help -h --config --since --json --html --mail --sendmail --verbose -v"
		[[ $cur == -* ]] || _helo_milter_files
		;;
	allow)
		flags="--help -h --config"
		;;
	deny)
		flags="--help -h --config"
		;;
	selftest)
		flags="--help -h --config --listen-for --wait --watch --every --dns"
		;;
	rules)
		flags="--help -h --config --markdown"
		;;
	config)
		flags="--help -h --config --default"
		;;
	version)
		flags="--help -h --config"
		;;
	esac
	[[ $cur != -* ]] || COMPREPLY=($(compgen -W "$flags" -- "$cur"))
}

_helo_milter_files() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -f -- "$cur"))
	compopt -o filenames 2>/dev/null
}

complete -F _helo_milter helo-milter
