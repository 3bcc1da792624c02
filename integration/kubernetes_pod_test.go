package integration

import (
	"cmp"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// checkPod is about a pod itself.
func (c *cluster) checkPod(p *pod) {
	if !selects(p.selector, p.Labels) {
		c.problem("%s: selects other pods", p.of)
	}
	for _, spread := range p.Spec.TopologySpreadConstraints {
		if !selects(spread.LabelSelector, p.Labels) {
			c.problem("%s: spread: selects other pods", p.of)
		}
	}
	milters := 0
	for _, k := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		where := p.of + ": " + k.Name
		c.checkContainer(where, k)
		files := c.mounted(where, p, k)
		if k.Name == "helo-milter" {
			milters++
			c.checkConfined(where, p, k)
			c.checkConfig(where, p, files)
		}
	}
	if milters != 1 {
		c.problem("%s: %d helo-milters", p.of, milters)
	}
}

// checkContainer is about the probes and resources of a container.
func (c *cluster) checkContainer(where string, k core.Container) {
	for _, probe := range []*core.Probe{k.StartupProbe, k.ReadinessProbe, k.LivenessProbe} {
		switch {
		case probe == nil:
		case probe.TCPSocket != nil:
			if port := probe.TCPSocket.Port; !hasPort(port, []core.Container{k}) {
				c.problem("%s: no port %s", where, port.String())
			}
		case !hasPort(probe.HTTPGet.Port, []core.Container{k}):
			c.problem("%s: no port %s", where, probe.HTTPGet.Port.String())
		case probe.HTTPGet.Path != "/healthz" && probe.HTTPGet.Path != "/readyz":
			c.problem("%s: %s is not served", where, probe.HTTPGet.Path)
		case probe == k.LivenessProbe && probe.HTTPGet.Path != "/healthz":
			c.problem("%s: liveness depends on %s, which depends on the DNS", where, probe.HTTPGet.Path)
		}
	}
	for name, request := range k.Resources.Requests {
		if limit, ok := k.Resources.Limits[name]; ok && limit.Cmp(request) < 0 {
			c.problem("%s: %s: requests %s of %s", where, name, request.String(), limit.String())
		}
	}
	limit := k.Resources.Limits.Memory()
	for _, env := range k.Env {
		soft, err := resource.ParseQuantity(strings.TrimSuffix(env.Value, "B"))
		if env.Name == "GOMEMLIMIT" && (err != nil || soft.Cmp(*limit) >= 0) {
			c.problem("%s: GOMEMLIMIT %s is no less than %s: %v", where, env.Value, limit.String(), err)
		}
	}
}

// checkConfined is about what helo-milter may do, and how long it has to end.
func (c *cluster) checkConfined(where string, p *pod, k core.Container) {
	s := cmp.Or(k.SecurityContext, &core.SecurityContext{})
	isTrue := func(b *bool) bool { return b != nil && *b }
	switch {
	case !isTrue(s.RunAsNonRoot), !isTrue(s.ReadOnlyRootFilesystem),
		s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation,
		s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || s.Capabilities.Add != nil,
		p.Spec.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		c.problem("%s: not confined", where)
	}
	// limits.shutdown is 20 s, and then it has some seconds to write the rest.
	if grace := p.Spec.TerminationGracePeriodSeconds; grace == nil || *grace < 28 {
		c.problem("%s: killed after %d s", where, *grace)
	}
}

// mounted are the files of a container, and of its directories that can be written the names with a slash at the end.
func (c *cluster) mounted(where string, p *pod, k core.Container) map[string]string {
	files := map[string]string{}
	for _, mount := range k.VolumeMounts {
		volume := slices.IndexFunc(p.Spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
		switch {
		case volume >= 0:
			c.open(where, mount.MountPath, p.Spec.Volumes[volume], files)
		case !slices.ContainsFunc(p.claims, func(v core.PersistentVolumeClaim) bool { return v.Name == mount.Name }):
			c.problem("%s: no volume %s", where, mount.Name)
		}
	}
	return files
}

func (c *cluster) open(where, at string, v core.Volume, files map[string]string) {
	content, kind, name := map[string]string{"": ""}, "", "" // of an empty directory
	switch {
	case v.ConfigMap != nil:
		kind, name = "ConfigMap", v.ConfigMap.Name
		content = c.configs[name]
	case v.Secret != nil:
		kind, name = "Secret", v.Secret.SecretName
		content = c.secrets[name]
	}
	if content == nil {
		c.problem("%s: no %s %s", where, kind, name)
	}
	for file, text := range content {
		files[at+"/"+file] = text
	}
}

// configFile is where helo-milter has its configuration.
const configFile = "/etc/helo-milter/helo-milter.toml"

// checkConfig is about what the configuration of helo-milter needs of the cluster.
func (c *cluster) checkConfig(where string, p *pod, files map[string]string) {
	var config struct {
		Listen   []string
		ListFile string `toml:"list_file"`
		HTTP     struct {
			Listen    string
			TokenFile string `toml:"token_file"`
		}
		Fleet struct {
			Redis        []string
			PasswordFile string `toml:"password_file"`
		}
	}
	if _, err := toml.Decode(files[configFile], &config); err != nil {
		c.problem("%s: %v", where, err)
	}
	list := path.Dir(config.ListFile) + "/"
	for _, file := range []string{configFile, config.HTTP.TokenFile, config.Fleet.PasswordFile, list} {
		if _, ok := files[file]; !ok {
			c.problem("%s: no file %s", where, file)
		}
	}
	for _, at := range append(config.Listen, config.HTTP.Listen) {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(at, "inet:"))
		if ip := net.ParseIP(host); err == nil && ip.IsLoopback() {
			continue
		}
		c.needPort(where, p, intstr.Parse(port))
		c.checkPolicies(p, "nobody may come to", port, known)
	}
	for _, server := range append(config.Fleet.Redis, "dns:53") {
		c.checkPolicies(p, "helo-milter may not go to", server[strings.LastIndex(server, ":")+1:], egress)
	}
}

// known are the ports that a policy opens for some only.
func known(n *networking.NetworkPolicy) (ports []networking.NetworkPolicyPort) {
	for _, rule := range n.Spec.Ingress {
		if len(rule.From) > 0 {
			ports = append(ports, rule.Ports...)
		}
	}
	return ports
}

// egress are the ports that a policy lets a pod go to.
func egress(n *networking.NetworkPolicy) (ports []networking.NetworkPolicyPort) {
	for _, rule := range n.Spec.Egress {
		ports = append(ports, rule.Ports...)
	}
	return ports
}

// checkPolicies is about what the network policies of a pod let through. They do not see one in the node's network.
func (c *cluster) checkPolicies(
	p *pod, what, port string, ports func(*networking.NetworkPolicy) []networking.NetworkPolicyPort,
) {
	for _, n := range c.policies {
		if !p.Spec.HostNetwork && selects(&n.Spec.PodSelector, p.Labels) &&
			!slices.ContainsFunc(ports(n), func(q networking.NetworkPolicyPort) bool { return q.Port.String() == port }) {
			c.problem("%s: %s port %s", nameOf(n), what, port)
		}
	}
}
