package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"helo-milter/cmd/helo-milter/internal/config"
)

const (
	// dialTimeout is how long a connection may take, and ioTimeout how long a server may be silent. Who has less
	// time gives a context.
	dialTimeout = time.Second
	ioTimeout   = 2 * time.Second
	// MaxConnections is how many connections there are at most, to one server.
	MaxConnections = 8
)

// Server is the server that a fleet shares, a Cluster of them, or the one that Sentinels name. Its methods may be
// called concurrently.
type Server struct {
	client redis.UniversalClient
	prefix string
	host   string // of this host
	as     string // what it was made from
}

// Connect returns the servers of a configuration that has some. It waits for nothing: connections are made when
// there is something to ask, and made anew when they break. Close must be called. The error is about password_file.
func Connect(cfg *config.Config) (*Server, error) {
	f := &cfg.Fleet
	password, err := ReadPassword(f.PasswordFile)
	if err != nil {
		return nil, &config.KeyError{Key: "fleet.password_file", Err: err}
	}
	o := &redis.UniversalOptions{
		Addrs: f.Servers.Addrs, DB: f.Servers.DB, MasterName: f.Servers.Master,
		Username: f.User, Password: password,
		Protocol:   2,                    // which all servers speak, and enough for us
		MaxRetries: -1, DialerRetries: 1, // who asks tries again, or does not
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		PoolSize: MaxConnections, MaxActiveConns: MaxConnections, PoolTimeout: ioTimeout, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if f.Servers.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.Servers.Unix {
		o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", f.Servers.Addrs[0])
		}
	}
	return &Server{
		client: redis.NewUniversalClient(o), prefix: f.Prefix, host: hostName(f.Host), as: fmt.Sprint(*f, password),
	}, nil
}

// Same reports whether two servers were made from the same configuration and password.
func (s *Server) Same(other *Server) bool { return s.as == other.as }

// Close ends all connections.
func (s *Server) Close() error { return s.client.Close() }

// Host is the name of this host in the fleet.
func (s *Server) Host() string { return s.host }

// key is a key of ours.
func (s *Server) key(parts ...string) string { return s.prefix + strings.Join(parts, ":") }

// hostName is what a host is called.
func hostName(configured string) string {
	if configured != "" {
		return strings.ToLower(configured)
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return strings.ToLower(name)
}

// ReadPassword reads the first line of a file; of the file "" it is "".
func ReadPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", file)
	}
	return line, nil
}

// Troubles are the words of Trouble.
var Troubles = []string{"out of memory", "wrong type", "not allowed", "not ready", "timeout", "unreachable"}

// Trouble says in a word or two what kind of error a server's is, for a log and a metric: its texts may have keys and
// addresses.
func Trouble(err error) string {
	word, _, _ := strings.Cut(err.Error(), " ")
	netErr := net.Error(nil)
	switch {
	case strings.HasPrefix(err.Error(), "OOM") || strings.Contains(err.Error(), "OOM command"):
		return "out of memory"
	case word == "WRONGTYPE" || strings.Contains(err.Error(), "WRONGTYPE"):
		return "wrong type"
	case word == "WRONGPASS" || word == "NOAUTH" || word == "NOPERM":
		return "not allowed"
	case word == "READONLY" || word == "LOADING" || word == "MASTERDOWN" || word == "CLUSTERDOWN" || word == "MISCONF":
		return "not ready"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout():
		return "timeout"
	default:
		return "unreachable"
	}
}
