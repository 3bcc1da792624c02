package config

import "testing"

func TestParseListen(t *testing.T) {
	for _, tt := range []struct{ listen, want string }{
		{"inet:127.0.0.1:8891", "tcp 127.0.0.1:8891"},
		{"inet:8891@localhost", "tcp localhost:8891"},
		{"inet:localhost:8891", "tcp localhost:8891"},
		{"inet6:[::1]:8891", "tcp6 [::1]:8891"},
		{"inet6:8891@::1", "tcp6 [::1]:8891"},
		{"inet6:8891@[::1]", "tcp6 [::1]:8891"},
		{"unix:/run/helo-milter/sock", "unix /run/helo-milter/sock"},
		{"local:/run/helo-milter/sock", "unix /run/helo-milter/sock"},
		{"policy:inet:127.0.0.1:8892", "policy tcp 127.0.0.1:8892"},
		{"policy:inet6:8892@::1", "policy tcp6 [::1]:8892"},
		{"policy:unix:/run/helo-milter/policy", "policy unix /run/helo-milter/policy"},
		{"policy:/run/helo-milter/policy", "error"},
		{"policy:policy:unix:/run/sock", "error"},
		{"policy:", "error"},
		{"unix:policy:/run/sock", "error"},
		{"inet:8891", "error"},
		{"inet:host:port", "error"},
		{"inet:127.0.0.1:0", "error"},
		{"inet::8891", "error"},
		{"tcp:127.0.0.1:8891", "error"},
		{"", "error"},
	} {
		var a Address
		err := a.UnmarshalText([]byte(tt.listen))
		got := a.Network + " " + a.Address
		if a.Policy {
			got = "policy " + got
		}
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s is %s, want %s", tt.listen, got, tt.want)
		}
	}
}
