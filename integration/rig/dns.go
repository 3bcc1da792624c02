package rig

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Who answers DNS in the world: knot with all the zones, unbound asking it as the root, and one that never
// answers.
const (
	authAddr     = "198.51.100.53"
	resolverAddr = "192.0.2.53"
	silentAddr   = "198.51.100.66"

	rootServer   = "a.root-servers.net"
	silentServer = "silent.root-servers.net"

	Resolver     = resolverAddr + ":53" // the world's resolver, as in its resolv.conf
	DeadResolver = silentAddr + ":53"   // takes questions and never answers
	AuthServer   = authAddr + ":53"     // answers for its zones, and with a referral for the silent ones
)

// A fleet of good clients is from FleetFirst to FleetLast in 198.51.100.0/24; their records live for a second.
const (
	FleetFirst = 101
	FleetLast  = 250
)

//go:embed dns.txt
var dnsTable string

// zones is what the table says: the records of each zone, and who serves it.
type zones struct {
	records map[string]*bytes.Buffer
	server  map[string]string // zone -> name server
	broken  []string
}

func readTable(table string) (*zones, error) {
	z := &zones{records: map[string]*bytes.Buffer{}, server: map[string]string{}}
	var records []string
	for line := range strings.Lines(table) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case len(fields) > 2:
			records = append(records, expand(strings.Join(fields, " "))...)
		case fields[0] == "zone":
			z.server[fields[1]], z.records[fields[1]] = rootServer, &bytes.Buffer{}
		case fields[0] == "servfail":
			z.server[fields[1]] = rootServer
			z.broken = append(z.broken, fields[1])
		case fields[0] == "silent":
			z.server[fields[1]] = silentServer
		default:
			return nil, fmt.Errorf("dns.txt: what is %q?", line)
		}
	}
	for zone, server := range z.server {
		if zone != "." {
			records = append(records, zone+" NS "+server)
		}
	}
	for _, record := range records {
		if err := z.add(record); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// add puts a record into the innermost zone around its owner, a delegation into the zone above.
func (z *zones) add(record string) error {
	owner, rest, _ := strings.Cut(record, " ")
	if addr, err := netip.ParseAddr(owner); err == nil {
		reverse, err := dns.ReverseAddr(addr.String())
		if err != nil {
			return err
		}
		owner = strings.TrimSuffix(reverse, ".")
	}
	zone := owner
	if strings.HasPrefix(rest, "NS ") {
		zone = parent(owner)
	}
	for z.records[zone] == nil {
		if zone == "." {
			return fmt.Errorf("dns.txt: no zone for %q", record)
		}
		zone = parent(zone)
	}
	fmt.Fprintln(z.records[zone], owner, rest)
	return nil
}

func parent(name string) string {
	_, above, _ := strings.Cut(name, ".")
	return cmp.Or(above, ".")
}

var rangePattern = regexp.MustCompile(`\{(\d+)-(\d+)\}`)

// expand makes one record for each number of a range {1-200}.
func expand(record string) (records []string) {
	bounds := rangePattern.FindStringSubmatch(record)
	if bounds == nil {
		return []string{record}
	}
	first, _ := strconv.Atoi(bounds[1])
	last, _ := strconv.Atoi(bounds[2])
	for i := first; i <= last; i++ {
		records = append(records, strings.ReplaceAll(record, bounds[0], strconv.Itoa(i)))
	}
	return records
}

// Owners returns the names that dns.txt has records of, but for zones that never answer.
func Owners() ([]string, error) {
	z, err := readTable(dnsTable)
	if err != nil {
		return nil, err
	}
	var owners []string
	for _, records := range z.records {
		for line := range strings.Lines(records.String()) {
			owner, _, _ := strings.Cut(line, " ")
			if z.server[owner] != silentServer {
				owners = append(owners, owner)
			}
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners), nil
}

// text is the zone as a master file; with the root as origin the table's names stand as they are.
func (z *zones) text(zone string) string {
	const soa = "$ORIGIN .\n$TTL 300\n%[1]s SOA %[2]s hostmaster.%[2]s 1 3600 600 86400 60\n%[1]s NS %[2]s\n"
	return fmt.Sprintf(soa, zone, rootServer) + z.records[zone].String()
}

// startDNS brings up the servers; they end with the world.
func startDNS() error {
	z, err := readTable(dnsTable)
	if err != nil {
		return err
	}
	dir := filepath.Join(os.TempDir(), "dns")
	if err := os.MkdirAll(filepath.Join(dir, "zones"), 0o755); err != nil {
		return err
	}
	if err := z.write(dir); err != nil {
		return err
	}
	mute, err := net.ListenPacket("udp", DeadResolver)
	if err != nil {
		return err
	}
	go swallow(mute)
	knot, err := start(dir, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	if err != nil {
		return err
	}
	if err := within(answers(authAddr + ":53")); err != nil {
		return fmt.Errorf("knot: %w\n%s", err, knot.output())
	}
	unbound, err := start(dir, "unbound", "-d", "-c", filepath.Join(dir, "unbound.conf"))
	if err != nil {
		return err
	}
	if err := within(answers(Resolver)); err != nil {
		return fmt.Errorf("unbound: %w\n%s", err, unbound.output())
	}
	return nil
}

// swallow takes what comes and never answers.
func swallow(conn net.PacketConn) {
	for {
		if _, _, err := conn.ReadFrom(make([]byte, 1)); err != nil {
			return
		}
	}
}

func answers(server string) func() error {
	return func() error {
		reply, err := Ask(server, "mx.example.net", dns.TypeA)
		if err == nil && len(reply.Answer) == 0 {
			err = fmt.Errorf("%s has no answer: %s", server, dns.RcodeToString[reply.Rcode])
		}
		return err
	}
}

// askTime is how long a resolver may look for an answer.
const askTime = 20 * time.Second

// Ask puts one question to a server, by TCP too where UDP was too small.
func Ask(server, name string, qtype uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	reply, _, err := (&dns.Client{Timeout: askTime}).Exchange(question, server)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: askTime}).Exchange(question, server)
	}
	return reply, err
}

// write makes the zone files and the configurations of both servers in dir.
func (z *zones) write(dir string) error {
	knot, unbound := fmt.Sprintf(knotConf, dir, authAddr), fmt.Sprintf(unboundConf, dir, resolverAddr)
	files := map[string]string{"root.hints": fmt.Sprintf(". NS %[1]s\n%[1]s A %[2]s\n", rootServer, authAddr)}
	for i, zone := range slices.Sorted(maps.Keys(z.records)) {
		name := fmt.Sprintf("zones/%d.zone", i)
		files[name] = z.text(zone)
		knot += fmt.Sprintf("  - domain: %q\n    file: %q\n", zone, filepath.Join(dir, name))
		unbound += fmt.Sprintf("  local-zone: %q nodefault\n", zone)
	}
	for _, zone := range z.broken {
		knot += fmt.Sprintf("  - domain: %q\n    file: \"nowhere\"\n", zone)
	}
	files["knot.conf"], files["unbound.conf"] = knot, unbound
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const knotConf = `
server:
    rundir: %[1]q
    listen: "%[2]s@53"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[1]q
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: %[1]q
    journal-content: none
zone:
`

const unboundConf = `
remote-control:
  control-enable: no
server:
  directory: %[1]q
  interface: %[2]s
  access-control: 0.0.0.0/0 allow
  root-hints: "root.hints"
  module-config: "iterator"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-ip6: no
  do-daemonize: no
  rrset-roundrobin: no
`
