// Package config is the configuration: it turns a TOML file into the one value that the daemon and the
// commands run with, and prints it as a file again.
//
// A file goes through it in this order. Load reads the text. Each key is a row of a table (keys.go;
// lists.go for the keys of [[allow]] and [[deny]]): decode.go stores the value where the row says, the
// row's check (check.go) looks at it, and place.go finds line and column of what is wrong. From the
// values, build.go makes what a configuration is for: the checks.Judge that judges by it, the questions
// that it asks the DNS, and the configuration of the resolver that answers them. print.go reads the same
// rows for `config` and `config --default`.
//
// To add a key:
//
//  1. Give Config a field for it: an exported one if the daemon or a command is to read it, and an
//     unexported one if it only takes part in what build makes.
//  2. Add a row to plainKeys in keys.go, beside the others of its table; this is also its place in `config`.
//     It has the name, which is never to change, the default in TOML, the comment for `config --default`, and
//     a pointer to the field. The pointer has to be of a type that decode knows. For a text with a form of
//     its own, take a type of values.go, or write one with MarshalText and UnmarshalText there, and convert
//     the pointer to it, as the row of timeout does; only a list of a new type needs a case in decode.
//  3. If the type allows values that make no sense, add a check to the row. check.go has some.
//  4. Use it: in build, or where the field is read.
//  5. Set it in testdata/every-key.toml, to something other than the default. For each mistake that it can
//     have, add testdata/config/MISTAKE.toml, with no golden file yet.
//  6. Run go test ./cmd/helo-milter/internal/config -update, which writes those, and read what git diff shows
//     of testdata: the line in `config --default`, the value as it was read, and the text of each mistake.
//
// A key of [[allow]] or [[deny]] is a field of checks.Allow or checks.Deny, and a row in lists.go, with an
// example in the place of the default. A rule needs nothing here: its two keys come from the rule table.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/agnivade/levenshtein"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/listfile"
	"helo-milter/dnscache"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// Config is what the daemon and the commands run with. Load and Parse make one; it must not be modified
// once in use.
type Config struct {
	File string // that it was read from; "" without one

	// What the file says.
	Mode        checks.Mode
	Profile     checks.Profile
	Listen      []Address
	SocketMode  fs.FileMode
	SocketGroup string // "" is the daemon's own
	ReplyAt     door.Stage
	DecisionLog string // a file; "-" is standard output, and "" none
	Log         LogForm
	LogLevel    slog.Level
	Header      struct {
		Add                   bool
		Name                  string
		AuthenticationResults bool
	}
	Actions  []*checks.Action // by rule, as checks.All; nil is the profile's
	Limits   gate.Limits      // without OnViolation
	Shutdown time.Duration    // how long transactions may go on when the daemon is stopped
	HTTP     struct {
		Listen    Address        // of no network: none
		Allow     []netip.Prefix // that may connect over TCP; empty is all, which Listen does not allow others then
		Console   bool           // Listen is reachable from this host only then, or there is a TokenFile
		TokenFile string         // "" is no password
		Pprof     bool           // Listen is reachable from this host only then
	}
	Help struct {
		Listen  Address // of no network: none
		URL     string  // with {id}; "" is none
		KeyFile string  // "" is a key that ends with the daemon
		Mailbox string  // "" is none
		Days    int
	}
	SelfTest []netip.Addr
	ListFile string // "" is none
	Fleet    struct {
		Redis        []string
		Servers      Servers // the same, read; without addresses there is no fleet
		User         string
		PasswordFile string // "" is no password
		Prefix       string
		Host         string // "" is the machine's name
		Records      int
	}

	// What follows from it.
	Judge    *checks.Judge
	DNS      checks.DNS         // what Judge needs to know; see Asking
	Resolver dnscache.Config    // its Timeout is that of a decision; without callbacks
	List     *listfile.Document // what list_file had; nil without one
	ListEnds time.Time          // when the next of its entries ends; zero is never

	// What is only said to make the judge and the questions.
	timeout    time.Duration
	onDNSError checks.Action
	helpURL    string
	site       struct {
		hostname  string
		names     []string
		addresses []netip.Addr
	}
	exempt struct {
		networks      []network
		authenticated bool
	}
	listed               listed
	allow                []checks.Allow
	deny                 []checks.Deny
	blockLists           []string
	scores               []*float64 // by rule; nil is the rule table's
	tempFailAt, rejectAt float64

	text []byte // of the file
}

// Ending returns the allow entries that end before a moment, or have ended.
func (c *Config) Ending(before time.Time) (ending []checks.Allow) {
	for _, a := range slices.Concat(c.allow, c.listed.allow) {
		if a.Expired(before) {
			ending = append(ending, a)
		}
	}
	return ending
}

// Load reads a configuration file; what it does not say is as in Default. The file "" says nothing. The error
// has the mistakes of the file, each in a line with its place: all of them, or the first 100 and how many
// more. What list_file says is read, too.
func Load(file string) (*Config, error) {
	c, err := load(file)
	if err != nil {
		return nil, err
	}
	return c.loadList()
}

func load(file string) (*Config, error) {
	if file == "" {
		return Parse("", nil)
	}
	text, err := os.ReadFile(file)
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("%s: cannot be read: %w", file, pathErr.Err)
	} else if err != nil {
		return nil, err
	}
	return Parse(file, text)
}

// Parse reads the text of a configuration file as Load does. The name is for errors.
func Parse(file string, text []byte) (*Config, error) {
	c := &Config{
		File: file, text: text,
		Actions: make([]*checks.Action, len(checks.All)),
		scores:  make([]*float64, len(checks.All)),
	}
	if err := c.read("built-in", []byte(Default())); err != nil {
		panic(err) // the key table contradicts itself: no configuration of a user can do that
	}
	if err := c.read(file, text); err != nil {
		return nil, err
	}
	c.build()
	return c, nil
}

// With returns a copy in which the keys of a TOML text have other values. The name is for errors.
func (c *Config) With(name string, text []byte) (*Config, error) {
	changed, err := Parse(c.File, c.text)
	if err != nil {
		return nil, err
	}
	if err := changed.read(name, text); err != nil {
		return nil, err
	}
	if changed.build(); c.List != nil {
		return changed.Listed(c.List, time.Now()), nil
	}
	return changed, nil
}

// maxMistakes is how many mistakes of a file are told with their place.
const maxMistakes = 100

// failFunc notes an error about a key. entry is the index of the table in a list of tables.
type failFunc func(path string, entry int, err error)

// read sets what a TOML text says and leaves the rest as it is.
func (c *Config) read(file string, text []byte) error {
	doc := map[string]any{}
	meta, err := toml.Decode(string(text), &doc)
	if syntax := (toml.ParseError{}); errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d:%d: %s", file, syntax.Position.Line, syntax.Position.Col, syntax.Message)
	} else if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	more := 0
	fail := func(path string, entry int, err error) {
		if len(errs) == maxMistakes { // each is looked for in the text
			more++
			return
		}
		line, col := locate(text, path, entry)
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s: %w", file, line, col, path, err))
	}
	unknownTable := "."
	for _, k := range meta.Keys() {
		if slices.ContainsFunc(lists, func(l list) bool { return l.name == k[0] }) {
			continue
		}
		path := strings.Join(k, ".")
		if err := c.set(keys, path, lookup(doc, k)); err != nil && !strings.HasPrefix(path, unknownTable+".") {
			fail(path, 0, err)
			unknownTable = path // and its keys need no errors of their own
		}
	}
	for _, l := range lists {
		c.readList(l, doc[l.name], fail)
	}
	for _, a := range c.Listen {
		if err := c.CheckPeers(a.Network, a.Address); err != nil && len(errs) == 0 {
			fail("listen", 0, err)
		}
	}
	if err := c.checkHTTP(); err != nil && len(errs) == 0 {
		fail("http.listen", 0, err)
	}
	if more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more mistakes", file, more))
	}
	return errors.Join(errs...)
}

// lookup returns the value at a path of tables.
func lookup(doc map[string]any, path toml.Key) any {
	var v any = doc
	for _, name := range path {
		table, _ := v.(map[string]any)
		v = table[name]
	}
	return v
}

// set decodes the value of one key, and checks it.
func (c *Config) set(rows []key, path string, value any) error {
	i := slices.IndexFunc(rows, func(k key) bool { return k.name == path })
	if i < 0 {
		if slices.ContainsFunc(rows, func(k key) bool { return strings.HasPrefix(k.name, path+".") }) {
			return store(new(map[string]any), value, "table")
		}
		return unknown(path)
	}
	if err := decode(rows[i].at(c), value); err != nil {
		return err
	}
	if rows[i].check != nil {
		return rows[i].check(c)
	}
	return nil
}

// unknown is the error for a key that does not exist, with the nearest that does.
func unknown(path string) error {
	what := "unknown key"
	if strings.HasPrefix(path, "rules.") || strings.HasPrefix(path, "scores.") {
		what = "unknown rule"
	}
	all := slices.Clone(keys)
	for _, l := range lists {
		all = append(all, l.keys(0)...)
	}
	var known []string
	for _, k := range all {
		table, _, _ := strings.Cut(k.name, ".")
		known = append(known, k.name, table)
	}
	slices.Sort(known)
	nearest := slices.MinFunc(known, func(a, b string) int {
		return cmp.Compare(levenshtein.ComputeDistance(path, a), levenshtein.ComputeDistance(path, b))
	})
	if levenshtein.ComputeDistance(path, nearest) > max(3, len(path)/3) {
		return errors.New(what)
	}
	return fmt.Errorf("%s (nearest: %s)", what, nearest)
}
