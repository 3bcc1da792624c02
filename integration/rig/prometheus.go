package rig

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// prometheusDir is where integration/run unpacks Debian's package: installed, it would start with this
// machine.
const prometheusDir = "/var/cache/helo-milter-rig/prometheus/usr/bin"

// Prometheus is a server that ends with the test.
type Prometheus struct {
	addr string
	proc *process
}

// StartPrometheus starts a Prometheus with these files, of which prometheus.yml is its configuration.
func StartPrometheus(t T, files map[string]string) *Prometheus {
	t.Helper()
	p := &Prometheus{addr: fmt.Sprintf("127.0.0.1:%d", FreePort())}
	dir := workDir(t, "prometheus")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatalf("prometheus: %v", err)
		}
	}
	var err error
	p.proc, err = start(dir, filepath.Join(prometheusDir, "prometheus"), "--config.file=prometheus.yml",
		"--storage.tsdb.path=data", "--web.listen-address="+p.addr, "--log.level=warn")
	if err != nil {
		t.Fatalf("prometheus: %v", err)
	}
	t.Cleanup(func() { _ = p.proc.stop() })
	err = within(func() error {
		if err := p.proc.running(); err != nil {
			return err
		}
		_, err := p.Query("up")
		return err
	})
	if err != nil {
		t.Fatalf("prometheus: %v\n%s", err, p.proc.output())
	}
	return p
}

// Sample is an element of the result of a query.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query evaluates an expression now.
func (p *Prometheus) Query(expr string) ([]Sample, error) {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any // time and text
		}
	}
	if err := p.get("query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var samples []Sample
	for _, r := range data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		samples = append(samples, Sample{r.Metric, value})
	}
	return samples, nil
}

// Alert is an alert that is active.
type Alert struct{ Labels, Annotations map[string]string }

// Alerts returns the alerts that are active.
func (p *Prometheus) Alerts() ([]Alert, error) {
	var data struct{ Alerts []Alert }
	err := p.get("alerts", &data)
	return data.Alerts, err
}

// get reads the data of an answer of the HTTP API.
func (p *Prometheus) get(path string, data any) error {
	client := http.Client{Timeout: WaitTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + p.addr + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}

// Promtool returns a command of promtool.
func Promtool(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(prometheusDir, "promtool"), args...)
}
