package opensmtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

func TestFilter(t *testing.T) {
	const (
		good = "C 203.0.113.1:1024 mail.example.org pass; H mail.example.org; M a@example.org; R b@example.net; D"
		yes  = "proceed; proceed; proceed; [accept mail.example.org none none]"
	)
	for _, tt := range []struct{ story, script, want string }{
		{
			"a message", good + ";=Received: x;=Subject: y;=;=z;.",
			yes + "; Received: x; Subject: y; ; z; .",
		},
		{"an empty message", good + ";.", yes + "; ."},
		{
			"a recipient is refused, and the other too",
			"C 203.0.113.1:1; H 0x7f000001; M a@example.org; R b@example.net; R c@example.net; Q",
			"proceed; 504 5.5.2 helo-numeric; 504 5.5.2 helo-numeric",
		},
		{
			"no HELO", "C 203.0.113.1:1; M a@example.org; R b@example.net; X; Q",
			"proceed; 503 5.5.1 helo-missing",
		},
		{
			"a second EHLO, after STARTTLS", "C 203.0.113.1:1; H 0x7f000001; H mail.example.org; M ; R b@example.net; Q",
			"proceed; 504 5.5.2 helo-numeric",
		},
		{
			"two messages, and a rollback between them", good + "; X; M ; R b@example.net; D;.; M ; R b@example.net;D;.;Q",
			"proceed; proceed; proceed; " + yes + "; .; " + yes + "; .",
		},
		{
			"a client that logs in", "C 203.0.113.1:1; H friend; A someone pass; M a@example.org; R b@example.net; D;.",
			"proceed; proceed; proceed; [exempt friend none none]; .",
		},
		{
			"and stays so", "C 203.0.113.1:1; H friend; A someone pass; M a@example.org; X; M a@example.org; R b@example.net",
			"proceed; proceed; proceed",
		},
		{
			"a client that fails to", "C 203.0.113.1:1; H 0x7f000001; A some|pass fail; M a@example.org; R b@example.net",
			"proceed; 504 5.5.2 helo-numeric",
		},
		{
			"an IPv6 client", "C [2001:db8::1]:1024 six.example.org pass; H six.example.org; M ; R b@example.net; D;.",
			"proceed; proceed; proceed; [accept six.example.org none none]; .",
		},
		{
			"local submission", "C unix:/var/run/smtpd.sock; H localhost; M ; R b@example.net; D;.",
			"proceed; proceed; proceed; [exempt localhost none none]; .",
		},
		{
			"our own name is smtpd's", "C 203.0.113.1:1; H mx.example.net; M ; R b@example.net",
			"proceed; 550 5.7.1 helo-own-name",
		},
		{
			"our address is that which the client connected to", "C 203.0.113.1:1; H [192.0.2.25]; M ; R b@example.net",
			"proceed; 550 5.7.1 helo-own-address",
		},
		{
			"the DNS fails", "C 203.0.113.4:1; H mail.example.net; M ; R b@example.net; D;.",
			"proceed; proceed; proceed; [accept mail.example.net helo-unresolvable helo-ptr-mismatch,helo-unverified," +
				"ptr-missing,ptr-unconfirmed,ptr-malformed,ptr-reserved,ptr-generic,ptr-dynamic,ptr-many]; .",
		},
		{
			"our field goes, folded, dotted, or with a blank",
			good + ";=X-HELO-Check: reject;=	folded;=Subject: x;= folded;=.x-helo-CHECK : y;=. folded;=X-HELO: z;" +
				"=;=X-HELO-Check: body;=..;.",
			yes + "; Subject: x;  folded; X-HELO: z; ; X-HELO-Check: body; ..; .",
		},
		{"nothing folds our field further", good + ";= unsure=none;=A: b;.", yes + "; A: b; ."},
		{"a field that the message ends in", good + ";=X-HELO-Check: a;= b;.", yes + "; ."},
		{"a header without a body", good + ";=Subject: x;.", yes + "; Subject: x; ."},
		{"a line that is no field", good + ";=no field;=X-HELO-Check: a;.", yes + "; no field; ."},
		{
			"another's Authentication-Results stays when they are not ours to write",
			good + ";=Authentication-Results: mx.example.net;=	spf=pass;.",
			yes + "; Authentication-Results: mx.example.net; \tspf=pass; .",
		},
		{
			"MAIL, RCPT and DATA that another filter let by", "C 203.0.113.1:1; H mail.example.org; m; =A: b;.",
			"[accept mail.example.org none none]; A: b; .",
		},
		{"a message of which nothing was reported", "C 203.0.113.1:1; H 0x7f000001;=A: b;.", "A: b; ."},
		{"a session whose beginning was not reported", "H 0x7f000001; M ; R b@example.net; D;=A: b;.", "proceed; proceed; proceed; A: b; ."},
	} {
		t.Run(tt.story, func(t *testing.T) {
			s := newSmtpd()
			if before, after, ok := strings.Cut(tt.script, " m;"); ok {
				s.play(before)
				s.says("report", "tx-mail", "85758d77", "ok", "a@example.org")
				tt.script = after
			}
			_, answered, err := answers(t, testConfig(t), s.play(tt.script))
			if got := summary(answered); got != tt.want || err != nil {
				t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
			}
		})
	}
}

// What is asked for, and how the verdict is given at MAIL.
func TestFilterConfig(t *testing.T) {
	const refused = "C 203.0.113.1:1; H 0x7f000001; M a@example.org; X"
	for _, tt := range []struct {
		story  string
		change func(*door.Config)
		script string
		lines  bool // of messages are asked for
		want   string
	}{
		{"reply_at = mail", func(c *door.Config) { c.ReplyAt = door.AtMail }, refused, true, "504 5.5.2 helo-numeric"},
		{
			"one recipient of two is refused, and the header is about the other",
			func(c *door.Config) { c.Policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject },
			"C 203.0.113.1:1; H sub.example.com; M a@example.org; R b@sub.example.com; R c@example.com; D; =A: b;.", true,
			"proceed; 550 5.7.1 helo-rcpt-domain; proceed; proceed; [accept sub.example.com " +
				"helo-unresolvable,helo-ptr-mismatch,helo-unverified none]; A: b; .",
		},
		{"no header", func(c *door.Config) { c.Header = "" }, refused, false, "proceed"},
		{
			"Authentication-Results",
			func(c *door.Config) { c.Header, c.AuthResults = "", true },
			"C 203.0.113.1:1; H mail.example.org; M ; R b@example.net; D; =Authentication-Results: a.example;=" +
				"\tspf=pass;=AUTHENTICATION-RESULTS:;=.	mx.example.net;=A: b;=;=x;.",
			true,
			"proceed; proceed; proceed; Authentication-Results: mx.example.net;; \tiprev=pass policy.iprev=203.0.113.1 " +
				"(mail.example.org); Authentication-Results: a.example; \tspf=pass; A: b; ; x; .",
		},
		{
			"an Authentication-Results without an end",
			func(c *door.Config) { c.Header, c.AuthResults = "", true },
			"C 10.0.0.1:1; H x; M ; R b@example.net; D; =Authentication-Results: a.example;" +
				strings.Repeat("=\t"+strings.Repeat("x", 998)+";", 70) + "=A: b;.",
			true, "proceed; proceed; proceed; A: b; .",
		},
	} {
		t.Run(tt.story, func(t *testing.T) {
			cfg := testConfig(t)
			tt.change(cfg)
			registered, answered, err := answers(t, cfg, newSmtpd().play(tt.script))
			if got := summary(answered); got != tt.want || err != nil {
				t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
			}
			if strings.Contains(registered, "|data-line\n") != tt.lines {
				t.Errorf("registered:\n%s", registered)
			}
		})
	}
}

// What else is made of a session: its decision, how it ended, and what was taken out.
func TestFilterDecision(t *testing.T) {
	var made []string
	cfg := testConfig(t)
	cfg.Decided = func(d *checks.Decision) {
		made = append(made, fmt.Sprint(d.QueueID, " ", d.MTA, " ", d.MailFrom, d.RcptTo, " ", d.Did.Outcome(), " ",
			strings.HasPrefix(d.Header, "accept;"), " ", d.Facts.MTAResolve))
	}
	cfg.Ended = func(class string) { made = append(made, class) }
	cfg.Stripped = func(n int) { made = append(made, fmt.Sprint("-", n)) }
	_, _, err := answers(t, cfg, newSmtpd().play(`
		C 203.0.113.1:1 <unknown> error
		H mail.example.org
		M a@example.org
		R b@example.net
		D
		=X-HELO-Check: a
		=X-HELO-Check: b
		.
		M 
		R b@mail.example.org
		X
		Q`))
	want := []string{
		"-2", "85758d77 mx.example.net a@example.org[b@example.net] accept true {TEMP unknown unknown}",
		" mx.example.net [b@mail.example.org] accept false {TEMP unknown unknown}", door.Judged,
	}
	if !slices.Equal(made, want) || err != nil {
		t.Errorf("%v\n got %q\nwant %q", err, made, want)
	}
}

func TestResolved(t *testing.T) {
	for fields, want := range map[string]string{
		"mail.example.org pass": "{OK mail.example.org mail.example.org}",
		"<unknown> fail":        "{FAIL unknown unknown}",
		" fail":                 "{FAIL unknown unknown}",
		"mail.example.org fail": "{FORGED unknown mail.example.org}",
		"<unknown> error":       "{TEMP unknown unknown}",
		"a.example.org error":   "{TEMP unknown a.example.org}",
		"a.example.org maybe":   "{  }",
	} {
		name, fcrdns, _ := strings.Cut(fields, " ")
		if got := fmt.Sprint(resolved(name, fcrdns)); got != want {
			t.Errorf("%s: %s, not %s", fields, got, want)
		}
	}
}

// The versions differ in the order of fields.
func TestVersions(t *testing.T) {
	const script = "C 203.0.113.1:1; H friend; A pass fail; M a@example.org; X; A fail pass; M a@example.org; R b@example.net; D;.;Q"
	for _, tt := range []struct{ version, want string }{
		{"0.4", "filter-result|4b39fee7e91f796a|7641df9771b4ed00|proceed"},
		{"0.5", "filter-result|7641df9771b4ed00|4b39fee7e91f796a|proceed"},
		{"0.6", "filter-result|7641df9771b4ed00|4b39fee7e91f796a|proceed"},
		{"0.7", "filter-result|7641df9771b4ed00|4b39fee7e91f796a|proceed"},
		{"0.8", "filter-result|7641df9771b4ed00|4b39fee7e91f796a|proceed"},
	} {
		s := newSmtpd()
		_, _ = fmt.Sscanf(tt.version, "0.%d", &s.minor)
		cfg, log := testConfig(t), new(bytes.Buffer)
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		class := ""
		cfg.Ended = func(c string) { class = c }
		_, answered, err := answers(t, cfg, s.play(script))
		if first, _, _ := strings.Cut(answered, "\n"); first != tt.want || err != nil || class != "authenticated" {
			t.Errorf("%s: %s, %v, %s", tt.version, first, err, class)
		}
		if newer := strings.Count(log.String(), "newer version"); newer != max(0, s.minor-newest) {
			t.Errorf("%s: the log is\n%s", tt.version, log)
		}
	}
	for _, lines := range []string{
		"config|protocol|1.0\n", "config|protocol|0.3\n", handshake + "report|2|1|smtp-in|link-connect|1|x\n",
	} {
		_, _, err := answers(t, testConfig(t), lines)
		if err == nil || !strings.HasPrefix(err.Error(), "smtpd speaks version ") {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// The input may end at any time, and whatever does not belong there is left out.
func TestFilterInput(t *testing.T) {
	for _, lines := range []string{"", "config|ready", "config|smtpd-version|7.8.0\n"} {
		if _, _, err := answers(t, testConfig(t), lines); err == nil || !strings.Contains(err.Error(), "smtpd.conf") {
			t.Errorf("%q: %v", lines, err)
		}
	}
	const script = "C 203.0.113.1:1; H mail.example.org; M a@example.org; R b@example.net; D;=A: b;=;=c;.;Q"
	said := newSmtpd().play(script)
	_, whole, _ := answers(t, testConfig(t), said)
	for _, junk := range []string{
		"", "|", "report", "filter|0.6", "report|0.6|1|smtp-out|link-connect|1|a|b|c|d", "filter|0.6|1|smtp-in|rcpt-to|x|y|z",
		"filter|0.6|1|smtp-in|rcpt-to|1", "filter|0.6|1|smtp-in|rcpt-to|11111111111111111|1|z", "config", "config|", "config|ready",
		"report|0.6|1|smtp-in|link-disconnect|1", "report|0.6|1|smtp-in|link-magic|7641df9771b4ed00|a", "\xff\x00",
		"report|0.6|1|smtp-in|link-auth|7641df9771b4ed00|", "report|0.6|1|smtp-in|tx-envelope|7641df9771b4ed00|85758d77|1",
	} {
		mixed := handshake + strings.ReplaceAll(strings.TrimPrefix(said, handshake), "\n", "\n"+junk+"\n")
		_, answered, err := answers(t, testConfig(t), mixed)
		if summary(answered) != summary(whole) || err != nil {
			t.Errorf("%q: %v\n%s", junk, err, answered)
		}
	}
	for _, name := range []string{"link-connect", "link-identify", "link-auth", "tx-mail", "tx-commit", "magic"} {
		s := newSmtpd()
		s.says("report", name)
		s.says("filter", name, "1")
		s.says("filter", name, "1", "")
		_, answered, err := answers(t, testConfig(t), s.String())
		if want := strings.Repeat("filter-result|7641df9771b4ed00|1|proceed\n", 1); answered != want || err != nil {
			t.Errorf("%s: %v\n%s", name, err, answered)
		}
	}
}

// transcript is what a filter writes, while it does.
type transcript struct {
	mu   sync.Mutex
	text []byte
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	return len(p), nil
}

func (w *transcript) count(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Count(w.text, []byte(text))
}

// A session that waits for the DNS does not hold up another one, nor its own end.
func TestFilterDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, smtpdIn := io.Pipe()
		var out transcript
		f := New(testConfig(t), in, &out)
		served := make(chan error, 1)
		go func() { served <- f.Serve() }()
		s := newSmtpd()
		lines := s.play(`
			C 203.0.113.5:1
			H mail.example.org
			M a@example.org
			R b@example.net
			S 2
			C 203.0.113.1:1
			H mail.example.org
			M a@example.org
			R b@example.net
			S 7641df9771b4ed00
			Q`)
		begin := time.Now()
		if _, err := io.WriteString(smtpdIn, lines); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := out.count("|proceed\n"); n != 3 || time.Since(begin) != 0 {
			t.Errorf("%d answers after %s", n, time.Since(begin))
		}
		_ = smtpdIn.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil || time.Since(begin) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if n := out.count("|proceed\n"); n != 4 {
			t.Errorf("%d answers", n)
		}
	})
}

// Whatever panics, each request is answered once, and the mail goes on.
func TestFilterPanic(t *testing.T) {
	for _, question := range []string{"PTR 203.0.113.1", "A mail.example.org", "MX mail.example.org", "policy"} {
		cfg, told := testConfig(t), 0
		cfg.DNS.Hosts = true
		cfg.OnPanic = func(any, []byte) { told++ }
		if qtype, owner, ok := strings.Cut(question, " "); ok {
			cfg.DNS.Resolver.(checkstest.Zone).Set(owner, "dnstest", "panic "+qtype)
		} else {
			cfg.Policy.Actions = nil
		}
		_, answered, err := answers(t, cfg, newSmtpd().play(
			"C 203.0.113.1:1; H mail.example.org; M a@example.org; R b@example.net; D; =X-HELO-Check: a;=A: b;.;Q"))
		const want = "proceed; proceed; proceed; [accept mail.example.org none internal]; A: b; ."
		if got := summary(answered); got != want || err != nil || told == 0 {
			t.Errorf("%s: %d, %v\n%s", question, told, err, got)
		}
	}
}

// A line that smtpd would cut is broken, in the header, too.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("é", 3000)
	for _, tt := range []struct {
		version string
		pieces  int
	}{{"6.8.0p2", 4}, {"7.3.0", 4}, {"7.4.0p0", 1}, {"7.8.0", 1}, {"?", 4}} {
		lines := newSmtpd().play("C 203.0.113.1:1; H mail.example.org; M ; R b@example.net; D;=A: " + long + ";=;=" + long + ";.")
		lines = strings.Replace(lines, "7.8.0", tt.version, 1)
		_, answered, _ := answers(t, testConfig(t), lines)
		_, body, _ := strings.Cut(answered, "|\n")
		if n := strings.Count(body, "\n") - 1; n != tt.pieces {
			t.Errorf("%s: %d pieces", tt.version, n)
		}
		for line := range strings.Lines(answered) {
			if tt.pieces > 1 && len(line) > 2048 {
				t.Errorf("%s: a line of %d bytes", tt.version, len(line))
			}
		}
		text := strings.ReplaceAll(known.ReplaceAllString(body, ""), "\n ", "")
		if text != long+"\n.\n" {
			t.Errorf("%s: the body is %q", tt.version, text)
		}
	}
	lines := newSmtpd().play("C 203.0.113.1:1; M ;=" + strings.Repeat("x", 2*maxLine) + ";.")
	_, answered, err := answers(t, testConfig(t), lines)
	if n := strings.Count(answered, "x"); n < maxLine/2 || err != nil || !strings.HasSuffix(answered, "|.\n") {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

// A reply is one line that fits SMTP.
func TestReplyLine(t *testing.T) {
	r := &checks.Reply{Code: checks.Code{Reply: 550, Enhanced: "5.7.1"}, Lines: []string{"HELO x", "is bad. Rule: a"}}
	if got := replyLine(r); got != "550 5.7.1 HELO x is bad. Rule: a" {
		t.Error(got)
	}
	long := strings.Repeat("word ", 100)
	r.Lines = []string{"HELO x: " + long, long}
	if got := replyLine(r); len(got) > maxReply || !strings.HasPrefix(got, "550 5.7.1 HELO x: word") {
		t.Errorf("%d: %s", len(got), got)
	}
}

// A reload changes sessions that begin later, and says what smtpd must be started again for.
func TestFilterConfigure(t *testing.T) {
	cfg, log := testConfig(t), new(bytes.Buffer)
	cfg.Header, cfg.Log = "", slog.New(slog.NewTextHandler(log, nil))
	f := New(cfg, strings.NewReader(handshake), io.Discard)
	marking := *cfg
	marking.Header = "X-HELO-Check"
	f.Configure(&marking)
	f.Configure(cfg)
	if f.Ready() == nil || log.Len() > 0 {
		t.Errorf("ready, and logged %s", log)
	}
	if err := f.Serve(); err != nil || f.Ready() != nil {
		t.Errorf("%v, %v", err, f.Ready())
	}
	f.Configure(&marking)
	if !strings.Contains(log.String(), "before smtpd is started again") {
		t.Errorf("logged %s", log)
	}
	if err := f.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Sessions are bounded: others pass.
func TestTooManySessions(t *testing.T) {
	s := newSmtpd()
	for i := range maxSessions {
		s.session = fmt.Sprintf("%x", i)
		s.says("report", "link-connect", "x", "fail", "10.0.0.1:1", "192.0.2.25:25")
	}
	s.session = "7641df9771b4ed00"
	s.play("C 203.0.113.1:1; H 0x7f000001; M ; R b@example.net; D;=A: b;.;Q")
	cfg, log := testConfig(t), new(bytes.Buffer)
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	_, answered, _ := answers(t, cfg, s.String())
	if got := summary(answered); got != "proceed; proceed; proceed; A: b; ." || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%s\n%s", got, log)
	}
}
