package fleet

import (
	"testing"

	"go.uber.org/goleak"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet/fleettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// redisServer is a redis-server of a test.
type redisServer struct {
	*fleettest.Redis
	t *testing.T
}

func startRedis(t *testing.T, settings ...string) *redisServer {
	t.Helper()
	return &redisServer{fleettest.Start(t, settings...), t}
}

// connect is a host of the fleet.
func (r *redisServer) connect(host string) *Server {
	r.t.Helper()
	cfg, err := config.Parse("test", []byte("[fleet]\nredis = [\"unix:"+r.Socket+"\"]\nhost = \""+host+"\"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := Connect(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}
