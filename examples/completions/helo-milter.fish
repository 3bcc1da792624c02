# fish completion for helo-milter(8). Written by go test ./cmd/helo-milter -update.

complete -c helo-milter -f
complete -c helo-milter -l help -s h -d 'Show context-sensitive help.'
complete -c helo-milter -l config -rF -d 'Configuration file; default: the built-in configuration.'
complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a serve -d 'Run the milter.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a opensmtpd -d 'Run as a filter of OpenSMTPD, on standard input and output.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a check -d 'Judge one client through live DNS and explain it.'
complete -c helo-milter -n '__fish_seen_subcommand_from check' -l json -d 'Print the decision record instead.'
complete -c helo-milter -n '__fish_seen_subcommand_from check' -l mail -d 'Print a message to the client'\''s administrator instead.'
complete -c helo-milter -n '__fish_seen_subcommand_from check' -l rcpt -x -d 'A recipient, for the rules about recipients.'
complete -c helo-milter -n '__fish_seen_subcommand_from check' -l dns -x -d 'Ask this DNS server instead of the usual ones.'
complete -c helo-milter -n '__fish_seen_subcommand_from check' -l all -d 'Show every rule, not only those that fail or are unsure.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a show -d 'Find a decision in decision logs by its id, and explain it.'
complete -c helo-milter -n '__fish_seen_subcommand_from show' -l json -d 'Print the decision records instead.'
complete -c helo-milter -n '__fish_seen_subcommand_from show' -F

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a replay -d 'Judge past mail under this configuration.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l json -d 'Print decision records, as input for report or another replay.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l recorded-dns -d 'Judge from the recorded facts only, without DNS lookups.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l since -x -d 'Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339).'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l trusted -x -d 'For mail: host, or .domain, whose Received fields to trust.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l ham -rF -d 'Mail known to be legitimate.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l spam -rF -d 'Mail known to be spam.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -l verbose -s v -d 'Show what could not be read. Its forms have no address or name of anybody in them.'
complete -c helo-milter -n '__fish_seen_subcommand_from replay' -F

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a report -d 'Show what decision logs say for and against enforcing each rule.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l since -x -d 'Only what happened since: 36h, 7d or 2w ago, a date (UTC), or a time (RFC 3339).'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l json -d 'Print the figures as JSON.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l html -d 'Print a self-contained HTML page with charts.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l mail -x -d 'Mail this page and a letter about the last 7 days.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l sendmail -rF -d 'The program that mails it; default: /usr/sbin/sendmail.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -l verbose -s v -d 'Show lines that could not be read.'
complete -c helo-milter -n '__fish_seen_subcommand_from report' -F

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a allow -d 'Edit the list of clients that are not judged.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a deny -d 'Edit the list of names and networks that are denied.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a selftest -d 'Judge this host, or given addresses, as others will when it sends mail.'
complete -c helo-milter -n '__fish_seen_subcommand_from selftest' -l listen-for -x -d 'Accept SMTP sessions there and judge the first HELO.'
complete -c helo-milter -n '__fish_seen_subcommand_from selftest' -l wait -x -d 'How long to wait for it.'
complete -c helo-milter -n '__fish_seen_subcommand_from selftest' -l watch -d 'Look again and again, and print a line when an address becomes wrong, or right again.'
complete -c helo-milter -n '__fish_seen_subcommand_from selftest' -l every -x -d 'How often, at least 1s.'
complete -c helo-milter -n '__fish_seen_subcommand_from selftest' -l dns -x -d 'Ask this DNS server instead of the usual ones.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a rules -d 'Print the rule table.'
complete -c helo-milter -n '__fish_seen_subcommand_from rules' -l markdown -d 'Print it as a Markdown table.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a config -d 'Check the configuration and print it as it takes effect.'
complete -c helo-milter -n '__fish_seen_subcommand_from config' -l default -d 'Print the commented default configuration instead.'

complete -c helo-milter -n 'not __fish_seen_subcommand_from serve opensmtpd check show replay report allow deny selftest rules config version' -a version -d 'Print the version.'
