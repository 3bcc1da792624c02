package daemon

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/spool"
)

// introduce says what to paste into the MTA's configuration, on standard output unless that is a log, and then on
// standard error unless that has JSON only.
func (d *Daemon) introduce() {
	switch {
	case d.smtpd != nil:
		d.log.Info("serving smtpd", "mode", d.cfg.Mode.String(), "profile", d.cfg.Profile.String())
		return
	case d.cfg.DecisionLog != "-":
		out := spool.New(struct{ io.Writer }{d.stdout}, nil) // a pipe that nobody reads must not hold up the start
		defer out.Close(time.Second)
		_, _ = io.WriteString(out, paste(d.sockets))
	case d.cfg.Log != config.LogJSON:
		_, _ = io.WriteString(d.lines, paste(d.sockets))
	}
	d.log.Info("serving", "listen", d.sockets.names(), "mode", d.cfg.Mode.String(),
		"profile", d.cfg.Profile.String())
}

// policyPaste is what a policy service takes in Postfix and Exim, for one that answers there.
const policyPaste = `Postfix without a milter, main.cf:
    helo_milter = check_policy_service { %s, timeout=10s, default_action=DUNNO }
    smtpd_recipient_restrictions = $helo_milter
    smtpd_data_restrictions = $helo_milter
Exim, with the files of examples/exim:
    HELO_MILTER_SOCKET = %s
`

// paste is what the administrator copies into the MTA's configuration.
func paste(s sockets) string {
	var b strings.Builder
	for _, name := range s.names() {
		name, isPolicy := strings.CutPrefix(name, forPolicy)
		family, address, _ := strings.Cut(name, ":")
		postfix, sendmail := "unix:"+address, "local:"+address
		if host, port, err := net.SplitHostPort(address); family != "unix" && err == nil {
			postfix, sendmail = "inet:"+address, family+":"+port+"@"+host
		}
		if isPolicy {
			fmt.Fprintf(&b, policyPaste, postfix, strings.TrimPrefix(postfix, "unix:"))
			continue
		}
		fmt.Fprintf(&b, "Postfix, main.cf:\n    smtpd_milters = { %s, default_action=accept }\n", postfix)
		fmt.Fprintf(&b, "Sendmail, sendmail.mc:\n    INPUT_MAIL_FILTER(`helo-milter', `S=%s')dnl\n", sendmail)
	}
	return b.String()
}
