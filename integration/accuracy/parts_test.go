package main

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"helo-milter/checks"
)

const (
	oldHead    = "label\tip\thelo\trdns\tfcrdns\tby\n"
	modernHead = "label\tsource\tip\thelo\trdns\tverified\tby\tbig\tip_named_elsewhere\n"
	oldRow     = "ham\t192.0.2.1\ta.example\t-\tnone\tmx.example.net\n"
)

// TestMistakes covers files with mistakes, whose errors have the line and what to write.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "f:1: the file is empty: start it"},
		{"\n", "f:1: neither a column fcrdns nor verified: name the columns"},
		{oldRow, "f:1: neither a column"},
		{"label\tip\trdns\tfcrdns\tby\n", "f:1: no column helo: a file with fcrdns needs label, "},
		{strings.Replace(modernHead, "\tbig", "", 1), "f:1: no column big: a file with verified needs"},
		{oldHead + oldRow + "\n", "f:3: fields: 1, column names: 6: separate"},
		{oldHead + oldRow + "ham\t192.0.2.1\n", "f:3: fields: 2, column names: 6: separate"},
		{oldHead + strings.Replace(oldRow, "ham", "egg", 1), `f:2: label "egg": write ham or spam`},
		{oldHead + strings.Replace(oldRow, "192.0.2.1", "192.0.2", 1), `f:2: ip "192.0.2" is no address: `},
		{oldHead + strings.Replace(oldRow, "192.0.2.1", "fe80::1%eth0", 1), `f:2: ip "fe80::1%eth0" is no address`},
		{oldHead + strings.Replace(oldRow, "none", "maybe", 1), `f:2: fcrdns "maybe": write none, forged or`},
		{oldHead + strings.Replace(oldRow, "none", "forged", 1), `f:2: rdns "-" and fcrdns "forged" contradict`},
		{
			oldHead + strings.Replace(oldRow, "\t-\t", "\ta.example\t", 1),
			`f:2: rdns "a.example" and fcrdns "none" contradict`,
		},
		{modernHead + "spam\tlist\t192.0.2.1\ta\t-\t-\tb\t-\t-\n", `f:2: source "list" of spam: write listspam`},
		{modernHead + "ham\tlist\t192.0.2.1\ta\t-\t-\tb\tvery\t-\n", `f:2: big "very": write big or -`},
		{modernHead + "ham\tlist\t192.0.2.1\ta\t-\tperhaps\tb\t-\t-\n", `f:2: verified "perhaps": write yes,`},
		{modernHead + "ham\tlist\t192.0.2.1\ta\t?\tyes\tb\t-\t-\n", `f:2: rdns "?" and verified "yes" contradict`},
		{oldHead + oldRow + strings.Repeat("x", maxLine), "f:3: bufio.Scanner: token too long: give a hops file"},
	} {
		_, err := readHops("f", strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.200q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if _, err := readHops("f", iotest.ErrReader(errors.New("disk trouble"))); err == nil ||
		!strings.HasPrefix(err.Error(), "f:1: disk trouble") {
		t.Errorf("got %v", err)
	}
}

// A file with CRLF and without a final newline reads the same.
func TestLineEnds(t *testing.T) {
	text, err := os.ReadFile("testdata/modern.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want, err := readHops("f", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	windows := strings.ReplaceAll(strings.TrimSuffix(string(text), "\n"), "\n", "\r\n")
	got, err := readHops("f", strings.NewReader(windows))
	if err != nil || len(got.hops) != 13 || !reflect.DeepEqual(got.hops, want.hops) {
		t.Errorf("%v: %v", err, got)
	}
}

var (
	v4, v6      = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	unknownAddr = checks.Answer[netip.Addr]{Status: checks.Failed, Err: "not recorded"}
	noAddr      = checks.Answer[netip.Addr]{Status: checks.Missing}
	knownV4     = checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{v4}}
	knownV6     = checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{v6}}
)

var factStories = []struct {
	story   string
	hop     hop
	ptr     checks.Status
	iprev   string
	a, aaaa checks.Answer[netip.Addr]
}{
	{
		"the HELO name is the confirmed PTR name: its address is known",
		hop{client: v4, helo: "Mail.example.org", rdns: "mail.EXAMPLE.org.", reverse: checks.ReverseConfirmed},
		checks.Found, "pass", knownV4, noAddr,
	},
	{
		"the same with IPv6",
		hop{client: v6, helo: "mail.example.org", rdns: "mail.example.org", reverse: checks.ReverseConfirmed},
		checks.Found, "pass", noAddr, knownV6,
	},
	{
		"another name in the same domain: nothing is known",
		hop{client: v4, helo: "mail.example.org", rdns: "mx.example.org", reverse: checks.ReverseConfirmed},
		checks.Found, "pass", unknownAddr, unknownAddr,
	},
	{
		"a forged PTR name says nothing about the HELO name",
		hop{client: v4, helo: "mail.example.org", rdns: "mail.example.org", reverse: checks.ReverseForged},
		checks.Found, "fail", unknownAddr, unknownAddr,
	},
	{
		"a name that was not checked",
		hop{client: v4, helo: "mail.example.org", rdns: "mail.example.org", reverse: checks.ReverseUnchecked},
		checks.Found, "temperror", unknownAddr, unknownAddr,
	},
	{
		"no name, and a HELO that is not looked up",
		hop{client: v4, helo: "localhost", rdns: "-", reverse: checks.ReverseMissing},
		checks.Missing, "permerror",
		checks.Answer[netip.Addr]{},
		checks.Answer[netip.Addr]{},
	},
	{
		"no name was recorded; a HELO with an unknown TLD is looked up",
		hop{client: v4, helo: "mail.qzx", rdns: "?", reverse: checks.ReverseUnrecorded},
		checks.Failed, "temperror", unknownAddr, unknownAddr,
	},
}

func TestFacts(t *testing.T) {
	for _, c := range factStories {
		f := assumption{helo: unknown}.facts(&c.hop, confirmedNames([]hop{c.hop})[c.hop.client])
		g := f.Greetings[0]
		if f.PTR.Status != c.ptr || f.Iprev() != c.iprev || f.PTRCount != len(f.PTR.Values) ||
			!reflect.DeepEqual(g.A, c.a) || !reflect.DeepEqual(g.AAAA, c.aaaa) {
			t.Errorf("%s: %+v", c.story, f)
		}
	}
}

// The assumption about the HELO name decides the results of the rules that read its addresses.
func TestAssumptions(t *testing.T) {
	mismatch := hop{
		client: v4, helo: "mail.yahoo.com", rdns: "pc.example.org", reverse: checks.ReverseConfirmed,
	}
	nobody := hop{client: v4, helo: "mail.yahoo.com", rdns: "-", reverse: checks.ReverseMissing, lost: true}
	for _, c := range []struct {
		assume assumption
		hop    hop
		names  []string
		rule   string
		want   checks.Result
	}{
		{assumption{helo: elsewhere}, mismatch, nil, "helo-forged-brand", checks.Fail},
		{assumption{helo: elsewhere}, mismatch, nil, "helo-unverified", checks.Fail},
		{assumption{helo: elsewhere}, mismatch, nil, "helo-unresolvable", checks.Pass},
		{assumption{helo: elsewhere}, mismatch, nil, "helo-spf", checks.Pass},
		{assumption{helo: unknown}, mismatch, nil, "helo-forged-brand", checks.Unsure},
		{assumption{helo: unknown}, mismatch, nil, "helo-unresolvable", checks.Unsure},
		{assumption{helo: missing}, mismatch, nil, "helo-forged-brand", checks.Fail},
		{assumption{helo: missing}, mismatch, nil, "helo-unresolvable", checks.Fail},
		// The client had the HELO name as its own at another time.
		{assumption{helo: missing}, mismatch, []string{"mail.yahoo.com"}, "helo-unresolvable", checks.Pass},
		{assumption{helo: missing}, mismatch, []string{"mail.yahoo.com"}, "helo-forged-brand", checks.Pass},
		{assumption{helo: elsewhere}, nobody, nil, "ptr-missing", checks.Unsure},
		{assumption{elsewhere, true}, nobody, nil, "ptr-missing", checks.Fail},
	} {
		got := checks.Evaluate(c.assume.facts(&c.hop, c.names), nil, "")[checks.Index(c.rule)].Result
		if got != c.want {
			t.Errorf("%+v, %+v, %v: %s is %v, want %v", c.assume, c.hop, c.names, c.rule, got, c.want)
		}
	}
}

// TestSite covers what a receiving host says about its organization.
func TestSite(t *testing.T) {
	ours := func(host, domain string) checks.Site {
		return checks.Site{Hostname: host, Names: []string{domain, "." + domain}}
	}
	for by, want := range map[string]checks.Site{
		"mx.example.net":                ours("mx.example.net", "example.net"),
		"MX.example.co.uk.":             ours("mx.example.co.uk", "example.co.uk"),
		"*.mail.protection.outlook.com": ours("", "outlook.com"),
		"co.uk":                         {Hostname: "co.uk"}, // a public suffix is no organization's
		"localhost":                     {}, "-": {}, "": {}, "192.0.2.1": {},
	} {
		if got := (&hop{by: by}).site(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v; want %+v", by, got, want)
		}
	}
}

// TestText covers formatting.
func TestText(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0", 0.00176: "0.18", 0.09994: "9.99", 0.09996: "10.0", 0.395: "39.5", 0.9996: "100", 1: "100",
	} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %s; want %s", share, got, want)
		}
	}
	if got := wrap([]string{"one", "two", "three"}, 9); !slices.Equal(got, []string{"one, two,", "three"}) {
		t.Errorf("wrap: %q", got)
	}
	if got := wrap(nil, 9); !slices.Equal(got, []string{""}) {
		t.Errorf("wrap of nothing: %q", got)
	}
	if got := thin([]int{0, 1, 2, 3, 4, 5, 6}, 4); !slices.Equal(got, []int{0, 2, 4, 6}) {
		t.Errorf("thin: %v", got)
	}
	if got := clean("a\x1b[2J"); got != `"a\x1b[2J"` {
		t.Errorf("clean: %s", got)
	}
}

func TestExitCodes(t *testing.T) {
	const sample = " testdata/old.tsv"
	for args, want := range map[string]struct {
		code int
		text string // of standard error
	}{
		"--help":                               {exitDone, ""},
		"":                                     {exitUsage, `expected "<file> ..."`},
		"--profile=lax" + sample:               {exitUsage, `"lax" is none of careful, standard, strict`},
		"--per=mail" + sample:                  {exitUsage, "--per must be one of"},
		"--at=101" + sample:                    {exitUsage, "--at: 101 is no percentage"},
		"--at=nan" + sample:                    {exitUsage, "--at: NaN is no percentage"},
		"--score=ptr=1" + sample:               {exitUsage, `--score: there is no rule "ptr"`},
		"--score=ptr-many=inf" + sample:        {exitUsage, "--score: ptr-many=+Inf is no score"},
		"--action=ptr=mark" + sample:           {exitUsage, `--action: there is no rule "ptr"`},
		"--action=ptr-many=x" + sample:         {exitUsage, `--action: invalid map value "x"`},
		"--hops --refused" + sample:            {exitUsage, "can't be used together"},
		"--fit --pair=ptr-many" + sample:       {exitUsage, `--pair: "ptr-many" is no pair of rules for --fit`},
		"--fit --pair=ptr-many+ptr" + sample:   {exitUsage, `--pair: "ptr-many+ptr" is no pair`},
		"--pair=ptr-many+ptr-missing" + sample: {exitUsage, "is no pair of rules for --fit"},
		"--fit" + sample:                       {exitBad, "old ham has hops in 1 of 10 folds, and needs 2"},
		"--fit testdata/none.tsv":              {exitBad, "open testdata/none.tsv: "},
		"--patterns testdata/none.tsv":         {exitBad, "open testdata/none.tsv: "},
		"--fit testdata/patterns.tsv" + sample: {exitBad, "--fit takes one table of patterns, or hops files"},
		"--helo=here" + sample:                 {exitUsage, "--helo must be one of"},
		"testdata":                             {exitBad, "testdata:1: "},
		"testdata/none.tsv":                    {exitBad, "open testdata/none.tsv: "},
		"testdata/tables.golden":               {exitBad, "testdata/tables.golden:1: neither a column"},
	} {
		var out, stderr strings.Builder
		code := run(strings.Fields(args), &out, &stderr)
		if code != want.code || !strings.Contains(stderr.String(), want.text) {
			t.Errorf("%q: exit %d, %s; want %d, %s", args, code, &stderr, want.code, want.text)
		}
	}
}
