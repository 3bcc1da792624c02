package rig

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Eventually repeats try until it succeeds, and fails the test after WaitTimeout.
func Eventually(t T, try func() error) {
	t.Helper()
	if err := within(try); err != nil {
		t.Fatalf("not within %v: %v", WaitTimeout, err)
	}
}

// Metrics returns the values of a /metrics by series, in its notation: name{label="value"}.
func Metrics(t T, address string) (values map[string]float64) {
	t.Helper()
	err := within(func() (err error) {
		values, err = scrape(address)
		return err
	})
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	return values
}

func scrape(address string) (map[string]float64, error) {
	// Compression would cost the milter more than the metrics themselves.
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	client := http.Client{Timeout: WaitTimeout, Transport: transport}
	resp, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	values := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		series, text, _ := strings.Cut(lines.Text(), "} ")
		if text == "" {
			series, text, _ = strings.Cut(lines.Text(), " ")
		} else {
			series += "}"
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			values[series] = value
		}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return values, lines.Err()
}

// Sum returns the sum of a metric over all labels.
func Sum(metrics map[string]float64, name string) (sum float64) {
	for series, value := range metrics {
		if strings.HasPrefix(series, name+"{") {
			sum += value
		}
	}
	return sum
}

// WaitDisconnected waits until no MTA is connected: then everything has been decided.
func (m *Milter) WaitDisconnected(t T) {
	t.Helper()
	err := within(func() error {
		open, err := m.connections()
		if err == nil && open > 0 {
			err = fmt.Errorf("%d MTAs are connected", open)
		}
		return err
	})
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
}

// connections counts the milter's connections in the kernel's tables, /proc/net/unix or tcp, see proc(5).
func (m *Milter) connections() (n int, _ error) {
	network, address, _ := strings.Cut(strings.TrimPrefix(m.Socket, "policy:"), ":")
	file, connection := "/proc/net/unix", regexp.MustCompile(`(?m) 03 +\d+ `+regexp.QuoteMeta(address)+`$`)
	if network == "inet" {
		addr, err := netip.ParseAddrPort(address)
		if err != nil {
			return 0, err
		}
		// ESTABLISHED, CLOSE_WAIT
		file, connection = "/proc/net/tcp", inState(addr.Addr(), int(addr.Port()), "0[18]")
	}
	table, err := os.ReadFile(file)
	return len(connection.FindAll(table, -1)), err
}

// Memory returns a value of /proc/PID/status in MiB: VmRSS is the resident memory, VmHWM its maximum so far.
func (m *Milter) Memory(t T, key string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.Pid()))
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
	line := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+) kB$`).FindSubmatch(status)
	if line == nil {
		t.Fatalf("milter: no %s in\n%s", key, status)
	}
	kib, _ := strconv.Atoi(string(line[1]))
	return float64(kib) / 1024
}
