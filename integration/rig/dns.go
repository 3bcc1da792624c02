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

// The DNS servers of the rig: knot with all zones, unbound with knot as its root server, and one that never
// answers.
const (
	authAddr     = "198.51.100.53"
	resolverAddr = "192.0.2.53"
	silentAddr   = "198.51.100.66"

	rootServer   = "a.root-servers.net"
	silentServer = "silent.root-servers.net"

	Resolver     = resolverAddr + ":53" // the resolver of resolv.conf
	DeadResolver = silentAddr + ":53"   // never answers
	AuthServer   = authAddr + ":53"     // authoritative for its zones, with referrals for the silent ones
)

// 198.51.100.FleetFirst to FleetLast are good clients; the TTL of their records is one second.
const (
	FleetFirst = 101
	FleetLast  = 250
)

//go:embed dns.txt
var dnsTable string

// zones are the zones of the table: their records, and their name servers.
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
			return nil, fmt.Errorf("dns.txt: cannot parse %q", line)
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

// add adds a record to the innermost zone around its owner, or a delegation to the parent zone.
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

// expand returns one record for each number of a range such as {1-200}.
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

// Owners returns the owner names of all records in dns.txt, except zones that never answer.
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

// text returns the zone as a master file. Its origin is the root, so the table's names are absolute.
func (z *zones) text(zone string) string {
	const soa = "$ORIGIN .\n$TTL 300\n%[1]s SOA %[2]s hostmaster.%[2]s 1 3600 600 86400 60\n%[1]s NS %[2]s\n"
	return fmt.Sprintf(soa, zone, rootServer) + z.records[zone].String()
}

// startDNS starts the servers. They end with the rig.
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
	silent, err := net.ListenPacket("udp", DeadResolver)
	if err != nil {
		return err
	}
	go discard(silent)
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

// discard reads packets and never answers.
func discard(conn net.PacketConn) {
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

// queryTimeout bounds one query, recursion included.
const queryTimeout = 20 * time.Second

// Ask sends one query to a server, and repeats it over TCP if the reply is truncated.
func Ask(server, name string, qtype uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	reply, _, err := (&dns.Client{Timeout: queryTimeout}).Exchange(question, server)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: queryTimeout}).Exchange(question, server)
	}
	return reply, err
}

// write writes the zone files and the configurations of both servers to dir.
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
