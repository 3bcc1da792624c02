package integration

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// cluster is what files ask Kubernetes for, and what is wrong with it.
type cluster struct {
	objects  []runtime.Object
	configs  map[string]map[string]string // ConfigMaps and their files
	secrets  map[string]map[string]string
	services []*core.Service
	policies []*networking.NetworkPolicy
	pods     []*pod
	problems []string
}

// pod is what a controller makes.
type pod struct {
	of       string // the controller
	selector *meta.LabelSelector
	core.PodTemplateSpec
	claims []core.PersistentVolumeClaim
}

// newCluster reads files strictly, and finds what does not fit.
func newCluster(files map[string]string) *cluster {
	c := &cluster{configs: map[string]map[string]string{}, secrets: map[string]map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c.read(name, files[name])
	}
	for _, o := range c.objects {
		c.check(o)
	}
	for _, p := range c.pods {
		c.checkPod(p)
	}
	return c
}

func (c *cluster) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *cluster) read(file, text string) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, apps.AddToScheme, networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			c.problem("%v", err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		o, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			c.problem("%s: %v", file, err)
			continue
		}
		c.add(o)
	}
}

func (c *cluster) add(o runtime.Object) {
	c.objects = append(c.objects, o)
	switch o := o.(type) {
	case *core.ConfigMap:
		c.configs[o.Name] = o.Data
	case *core.Secret:
		c.secrets[o.Name] = o.StringData
	case *core.Service:
		c.services = append(c.services, o)
	case *networking.NetworkPolicy:
		c.policies = append(c.policies, o)
	case *apps.StatefulSet:
		c.pods = append(c.pods, &pod{nameOf(o), o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates})
	case *apps.DaemonSet:
		c.pods = append(c.pods, &pod{nameOf(o), o.Spec.Selector, o.Spec.Template, nil})
	}
}

// nameOf is a kind and a name.
func nameOf(o runtime.Object) string {
	return o.GetObjectKind().GroupVersionKind().Kind + " " + o.(meta.Object).GetName()
}

// selects reports whether a selector that is not empty takes these labels.
func selects(s *meta.LabelSelector, l map[string]string) bool {
	selector, err := meta.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(l))
}

// selected are the pods that a selector of an object takes: at least one.
func (c *cluster) selected(o runtime.Object, s *meta.LabelSelector) (pods []*pod) {
	for _, p := range c.pods {
		if selects(s, p.Labels) {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		c.problem("%s: selects no pod", nameOf(o))
	}
	return pods
}

// check is about an object that has something to do with others.
func (c *cluster) check(o runtime.Object) {
	if in := o.(meta.Object).GetNamespace(); in != "mail" {
		c.problem("%s: in the namespace %s", nameOf(o), in)
	}
	switch o := o.(type) {
	case *core.Service:
		for _, p := range c.selected(o, &meta.LabelSelector{MatchLabels: o.Spec.Selector}) {
			for _, port := range o.Spec.Ports {
				c.needPort(nameOf(o), p, port.TargetPort)
			}
		}
	case *apps.StatefulSet:
		if !slices.ContainsFunc(c.services, func(s *core.Service) bool {
			return s.Name == o.Spec.ServiceName && s.Spec.ClusterIP == core.ClusterIPNone
		}) {
			c.problem("%s: no headless Service %s", nameOf(o), o.Spec.ServiceName)
		}
	case *policy.PodDisruptionBudget:
		c.selected(o, o.Spec.Selector)
	case *networking.NetworkPolicy:
		for _, p := range c.selected(o, &o.Spec.PodSelector) {
			for _, rule := range o.Spec.Ingress {
				for _, port := range rule.Ports {
					c.needPort(nameOf(o), p, *port.Port)
				}
			}
		}
	case *monitoring.ServiceMonitor:
		for _, e := range o.Spec.Endpoints {
			if !slices.ContainsFunc(c.services, func(s *core.Service) bool {
				return selects(&o.Spec.Selector, s.Labels) &&
					slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == e.Port })
			}) {
				c.problem("%s: selects no Service with %s", nameOf(o), e.Port)
			}
		}
	}
}

// needPort is for a port of other objects, which do not find the names of a sidecar's before Kubernetes 1.32:
// https://github.com/kubernetes/kubernetes/issues/127958
func (c *cluster) needPort(who string, p *pod, port intstr.IntOrString) {
	if !hasPort(port, p.Spec.Containers) && (port.Type == intstr.String || !hasPort(port, p.Spec.InitContainers)) {
		c.problem("%s: no container has port %s", who, port.String())
	}
}

func hasPort(port intstr.IntOrString, containers []core.Container) bool {
	return slices.ContainsFunc(containers, func(k core.Container) bool {
		return slices.ContainsFunc(k.Ports, func(p core.ContainerPort) bool {
			return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
		})
	})
}

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
	for _, file := range []string{configFile, config.HTTP.TokenFile, config.Fleet.PasswordFile, path.Dir(config.ListFile) + "/"} {
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
		c.checkPolicies(p, "nobody may come to", port, func(n *networking.NetworkPolicy) (ports []networking.NetworkPolicyPort) {
			for _, rule := range n.Spec.Ingress {
				if len(rule.From) > 0 {
					ports = append(ports, rule.Ports...)
				}
			}
			return ports
		})
	}
	for _, server := range append(config.Fleet.Redis, "dns:53") {
		c.checkPolicies(p, "helo-milter may not go to", server[strings.LastIndex(server, ":")+1:], egress)
	}
}

func egress(n *networking.NetworkPolicy) (ports []networking.NetworkPolicyPort) {
	for _, rule := range n.Spec.Egress {
		ports = append(ports, rule.Ports...)
	}
	return ports
}

// checkPolicies is about what the network policies of a pod let through. They do not see a pod in the node's network.
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
