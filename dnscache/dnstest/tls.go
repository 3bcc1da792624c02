package dnstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// StartTLS serves zone on a loopback port over TLS (RFC 7858) and nothing else, until the test ends. Its
// self-signed certificate is for names, each a host name or an address, and the only one in the pool that is
// returned. Misbehaviour is that on TCP.
func StartTLS(t testing.TB, zone string, names ...string) (*Server, *x509.CertPool) {
	t.Helper()
	records := Parse(t, zone)
	certificate := selfSigned(t, names)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(records, listener.Addr())
	s.serve(&dns.Server{Listener: listener})
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(certificate.Leaf)
	return s, pool
}

// selfSigned returns a new certificate for names, valid for a day.
func selfSigned(t testing.TB, names []string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: rand.Text()}, // not that of another issuer
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(23 * time.Hour),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, net.IP(addr.AsSlice()))
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
