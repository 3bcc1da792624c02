package integration

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// kubernetesFiles are the files of examples/kubernetes by name.
func kubernetesFiles(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../examples/kubernetes/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%q: %v", names, err)
	}
	files := map[string]string{}
	for _, name := range names {
		files[filepath.Base(name)] = readFile(t, name)
	}
	return files
}

// The files are what the types of their kinds have, to the field, and fit each other; what does not is found.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	files := kubernetesFiles(t)
	for _, problem := range newCluster(files).problems {
		t.Error(problem)
	}
	for _, row := range kubernetesMistakes {
		changed := maps.Clone(files)
		changed[row.file] = strings.Replace(files[row.file], row.from, row.to, 1)
		found := newCluster(changed).problems
		if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, row.problem) }) {
			t.Errorf("%s with %q for %q: %q", row.file, row.to, row.from, found)
		}
	}
}

// kubernetesMistakes are changes of the first text in a file, and a part of what is found then.
var kubernetesMistakes = []struct{ file, from, to, problem string }{
	{"sidecar.yaml", "httpGet:", "httpget:", `unknown field "spec.template.spec.initContainers[0].startupProbe.httpget"`},
	{"sidecar.yaml", "kind: StatefulSet", "kind: StatefulSets", `no kind "StatefulSets"`},
	{"sidecar.yaml", "namespace: mail", "namespace: post", "Service mx: in the namespace post"},
	{"config.yaml", "name: helo-milter", "name: milter", "no ConfigMap helo-milter"},
	{"config.yaml", "helo-milter.toml:", "helo.toml:", "no file /etc/helo-milter/helo-milter.toml"},
	{"config.yaml", "inet:127.0.0.1:8891", "inet:0.0.0.0:8891", "no container has port 8891"},
	{"config.yaml", "0.0.0.0:9891", "0.0.0.0:9892", "no container has port 9892"},
	{"config.yaml", "cluster.local:6379", "cluster.local:6380", "NetworkPolicy mx: helo-milter may not go to port 6380"},
	{"secret.yaml", "name: helo-milter\n", "name: milter\n", "no Secret helo-milter"},
	{"secret.yaml", "redis-password: ", "redis: ", "no file /run/secrets/helo-milter/redis-password"},
	{"daemonset.yaml", "mountPath: /var/lib/helo-milter", "mountPath: /var/lib", "no file /var/lib/helo-milter/"},
	{"sidecar.yaml", "- name: queue", "- name: spool", "no volume spool"},
	{"sidecar.yaml", "containerPort: 9891", "containerPort: 9892", "Service helo-milter: no container has port 9891"},
	{"sidecar.yaml", "port: metrics", "port: metric", "no port metric"},
	{"sidecar.yaml", "path: /healthz", "path: /readyz", "liveness depends on /readyz"},
	{"daemonset.yaml", "path: /readyz", "path: /ready", "/ready is not served"},
	{"daemonset.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "not confined"},
	{"daemonset.yaml", "drop: [ALL]", "drop: [CHOWN]", "not confined"},
	{"daemonset.yaml", "RuntimeDefault", "Unconfined", "not confined"},
	{"daemonset.yaml", "memory: 128Mi", "memory: 1Gi", "memory: requests 1Gi of 512Mi"},
	{"daemonset.yaml", "400MiB", "512MiB", "GOMEMLIMIT 512MiB is no less than 512Mi"},
	{"daemonset.yaml", "Seconds: 30", "Seconds: 20", "killed after 20 s"},
	{"daemonset.yaml", "name: helo-milter\n  #", "name: milter\n  #", "DaemonSet helo-milter: selects other pods"},
	{"sidecar.yaml", "name: mx\n  ports", "name: mta\n  ports", "Service mx: selects no pod"},
	{"sidecar.yaml", "targetPort: smtp", "targetPort: smtps", "Service mx: no container has port smtps"},
	{"sidecar.yaml", "serviceName: helo-milter", "serviceName: mx", "no headless Service mx"},
	{"sidecar.yaml", "name: mx\n---\n# Who", "name: mta\n---\n# Who", "PodDisruptionBudget mx: selects no pod"},
	{"sidecar.yaml", "name: mx\n  policyTypes", "name: mta\n  policyTypes", "NetworkPolicy mx: selects no pod"},
	{"sidecar.yaml", "- port: 9891", "- port: 9892", "NetworkPolicy mx: nobody may come to port 9891"},
	{"sidecar.yaml", "name: mx\n      init", "name: mta\n      init", "spread: selects other pods"},
	{"monitoring.yaml", "metrics: helo-milter\n  ports", "metrics: mx\n  ports", "Service helo-milter: selects no pod"},
	{"monitoring.yaml", "- port: metrics", "- port: http", "ServiceMonitor helo-milter: selects no Service with http"},
}

// The configuration is one, once the files of the secret are there.
func TestKubernetesConfig(t *testing.T) {
	t.Parallel()
	c, dir := newCluster(kubernetesFiles(t)), t.TempDir()
	for _, p := range c.pods {
		for _, k := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			for file, text := range c.mounted(p.of, p, k) {
				if err := os.MkdirAll(filepath.Dir(dir+file), 0o755); err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(file, "/run/secrets/") {
					text = strings.Repeat("0f1e2d3c", 8) // the file's own would be refused
				}
				if !strings.HasSuffix(file, "/") {
					writeText(t, dir+file, strings.ReplaceAll(text, `"/`, `"`+dir+"/"))
				}
			}
		}
	}
	if out, exit := rig.RunMilter(t, "config", "--config", dir+configFile); exit != 0 || strings.Contains(out, "warning") {
		t.Errorf("%d\n%s", exit, out)
	}
}
