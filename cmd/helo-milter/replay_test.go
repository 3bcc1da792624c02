package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"helo-milter/dnscache/dnstest"
)

// replayed runs replay under the configuration in helo-milter.toml.
func replayed(t *testing.T, stdin string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"--config", "helo-milter.toml", "replay"}, args...)
	exit = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), exit
}

const (
	sortedHam = "Received: from mail1.example.org (mail1.example.org [192.0.2.1])\n" +
		"\tby mx.example.net (Postfix) id 4C1; Tue, 10 Nov 2026 08:00:00 +0000\n\nHello.\n"
	sortedSpam = "Received: from friend (unknown [198.51.100.1])\n" +
		"\tby mx.example.net (Postfix) id 4C2; Tue, 10 Nov 2026 09:00:00 +0000\n\nHello.\n"
	logged = "Nov 10 08:00:00 mx postfix/smtpd[7]: 4C1: client=mail1.example.org[192.0.2.1]\n" +
		"Nov 11 08:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[198.51.100.1]: 554 5.7.1 no; " +
		"from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<198.51.100.1>\n" +
		"Nov 12 08:00:00 mx postfix/smtpd[7]: connect from somewhere else\n" +
		"Nov 12 08:00:00 mx postfix/smtpd[7]: 4C3: client=mail1.example.org[192.0.2.1], sasl_username=someone\n"
)

// The summaries of labelled mail, of a log, of an earlier replay's records and of a daemon's decisions. Each
// case has a golden file, a configuration, arguments and standard input.
func TestReplay(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	_, zone := inbox()
	server := fmt.Sprintf("[dns]\nservers = [%q]\n", dnstest.Start(t, zone).Addr())
	for name, text := range map[string]string{"ham": sortedHam, "spam": sortedSpam, "log": logged} {
		writeFile(t, name, text)
	}
	writeFile(t, "helo-milter.toml", server)
	all := []string{"--json", "--ham=ham", "--spam=spam", "log"}
	past, errs, exit := replayed(t, "", all...)
	if exit != exitDone || !strings.Contains(errs, " 1 items omitted: ") {
		t.Fatalf("%d %s", exit, errs)
	}
	validate(t, root+"/../../examples/decision-record.schema.json", past)
	if again, _, _ := replayed(t, past, "--json", "-"); again != past {
		t.Errorf("got\n%s\nwant\n%s", again, past)
	}
	writeFile(t, "past", past)
	writeFile(t, "decisions", daemons(past))
	for _, tt := range []struct{ golden, config, args, stdin string }{
		{"sorted", "", "--ham=ham --spam=spam", ""},
		{"log", "", "--verbose --recorded-dns log", ""},
		{"past", "profile = \"strict\"\n", "past", ""},
		{"decisions", "profile = \"strict\"\n[exempt]\nauthenticated = false\n", "-", daemons(past)},
		{"mixed", "mode = \"enforce\"\n", "decisions past ham", ""},
		{"nothing", "", "-", ""},
	} {
		writeFile(t, "helo-milter.toml", tt.config+server)
		out, errs, exit := replayed(t, tt.stdin, strings.Fields(tt.args)...)
		golden(t, root+"/testdata/replay/"+tt.golden+".golden", out+errs)
		if exit != exitDone {
			t.Errorf("%s: exit %d", tt.golden, exit)
		}
	}
}

// daemons returns the records of a replay as if a daemon had written them: without their source, and each of
// a session of its own.
func daemons(past string) string {
	text, n := "", 0
	for line := range strings.Lines(past) {
		if before, _, ok := strings.Cut(line, `,"source":{"place"`); ok {
			n++
			id := strings.NewReplacer(`"id":"replay"`, fmt.Sprintf(`"id":"%d"`, n), "Id: replay", fmt.Sprint("Id: ", n))
			text += id.Replace(before) + "}\n"
		}
	}
	return text
}

// Replaying records under the configuration that made them yields the same lines, byte for byte.
func TestReplayExact(t *testing.T) {
	t.Chdir(t.TempDir())
	mbox, zone := inbox()
	writeFile(t, "inbox", mbox)
	writeFile(t, "helo-milter.toml", fmt.Sprintf("[dns]\nservers = [%q]\n", dnstest.Start(t, zone).Addr()))
	first, _, _ := replayed(t, "", "--json", "inbox")
	second, errs, exit := replayed(t, first, "--json", "-")
	if n := strings.Count(first, "\n"); first != second || n < 1000 || exit != exitDone || errs != "" {
		t.Errorf("%d lines; exit %d %s\n%.3000s\n%.3000s", n, exit, errs, first, second)
	}
}

// A file that cannot be read is reported, and the others are still judged.
func TestReplayErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "helo-milter.toml", "")
	writeFile(t, "ham", sortedHam)
	for _, tt := range []struct {
		args, says string
		exit       int
	}{
		{"", "no input files", exitUsage},
		{"--recorded-dns no ham", "no such file", exitBad},
		{"--config=no ham", "no such file", exitConfig},
	} {
		out, errs, exit := replayed(t, "", strings.Fields(tt.args)...)
		if exit != tt.exit || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: exit %d, %s", tt.args, exit, errs)
		}
		if exit == exitBad && !strings.HasPrefix(out, "PAST MAIL: 1, ") {
			t.Errorf("%s: %s", tt.args, out)
		}
	}
}

// validate checks each line against a JSON Schema.
func validate(t *testing.T, file, lines string) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(lines) {
		record, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(record)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, line)
		}
	}
}
