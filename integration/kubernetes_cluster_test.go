package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
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
			return port.Type == intstr.String && p.Name == port.StrVal ||
				port.Type == intstr.Int && p.ContainerPort == port.IntVal
		})
	})
}
