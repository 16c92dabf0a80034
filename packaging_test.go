package reconciler_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tenantops/reconciler/config"
)

// manifest is what this test looks at in an object of Kubernetes.
type manifest struct {
	APIVersion string
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	StringData map[string]string
	Spec       struct {
		ServiceName          string
		Template             struct{ Spec podSpec }
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } }
		Ports                []struct{ TargetPort string }
	}
}

type podSpec struct {
	ServiceAccountName            string
	TerminationGracePeriodSeconds int
	SecurityContext               struct {
		RunAsNonRoot bool
		RunAsUser    int
	}
	Containers []struct {
		Args                          []string
		Ports                         []struct{ Name string }
		LivenessProbe, ReadinessProbe struct{ HTTPGet struct{ Path, Port string } }
		SecurityContext               struct {
			AllowPrivilegeEscalation *bool
			ReadOnlyRootFilesystem   bool
		}
		VolumeMounts []struct{ Name, MountPath, SubPath string }
	}
	Volumes []struct {
		Name      string
		ConfigMap struct{ Name string }
		Secret    struct{ SecretName string }
	}
}

// manifests are the objects of deploy/kubernetes by kind.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	files, err := filepath.Glob("deploy/kubernetes/*")
	if err != nil || len(files) < 2 {
		t.Fatalf("got %v, %v", files, err)
	}
	all := map[string]manifest{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var m manifest
			if err := yaml.Unmarshal([]byte(document), &m); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if m.APIVersion == "" || m.Kind == "" || m.Metadata.Name != "reconciler" {
				t.Errorf("%s: an object is %+v", file, m)
			}
			all[m.Kind] = m
		}
	}
	return all
}

// What the manifests name is there: volumes, secrets, ports, accounts.
func TestKubernetes(t *testing.T) {
	all := manifests(t)
	for _, kind := range []string{"ServiceAccount", "ConfigMap", "StatefulSet", "Service", "NetworkPolicy", "Secret"} {
		if all[kind].Kind == "" {
			t.Fatalf("there is no %s", kind)
		}
	}
	pod, set := all["StatefulSet"].Spec.Template.Spec, all["StatefulSet"].Spec
	container := pod.Containers[0]
	var volumes []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap.Name+v.Secret.SecretName != "" && v.ConfigMap.Name+v.Secret.SecretName != "reconciler" {
			t.Errorf("volume %s is of something that is not there", v.Name)
		}
	}
	for _, c := range set.VolumeClaimTemplates {
		volumes = append(volumes, c.Metadata.Name)
	}
	mounted := map[string]bool{}
	for _, m := range container.VolumeMounts {
		mounted[m.MountPath] = true
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("volume %s is not there", m.Name)
		}
	}
	for what, ok := range map[string]bool{
		"service":         set.ServiceName == all["Service"].Metadata.Name,
		"service account": pod.ServiceAccountName == all["ServiceAccount"].Metadata.Name,
		"port":            container.Ports[0].Name == "http" && all["Service"].Spec.Ports[0].TargetPort == "http",
		"liveness":        container.LivenessProbe.HTTPGet.Path == "/healthz" && container.LivenessProbe.HTTPGet.Port == "http",
		"readiness":       container.ReadinessProbe.HTTPGet.Path == "/readyz" && container.ReadinessProbe.HTTPGet.Port == "http",
		"user":            pod.SecurityContext.RunAsNonRoot && pod.SecurityContext.RunAsUser == 65532,
		"root":            container.SecurityContext.ReadOnlyRootFilesystem && *container.SecurityContext.AllowPrivilegeEscalation == false,
		"settings":        mounted[container.Args[len(container.Args)-1]],
	} {
		if !ok {
			t.Errorf("the %s is not what it should be", what)
		}
	}
	settings := settingsOf(t, "the ConfigMap", all["ConfigMap"].Data["reconciler.yaml"])
	if !mounted[settings.Data] || !mounted[settings.SecretsDir] {
		t.Errorf("%s or %s is not mounted", settings.Data, settings.SecretsDir)
	}
	if grace := pod.TerminationGracePeriodSeconds; float64(grace) <= settings.ShutdownTimeout.Duration().Seconds() {
		t.Errorf("the pod is killed after %d s, before the daemon ends by itself", grace)
	}
	for _, secret := range []config.Secret{settings.Git.Token, settings.Server.Token, settings.Server.Webhook.Secret} {
		name, _ := strings.CutPrefix(string(secret), "$file:")
		if _, ok := all["Secret"].StringData[name]; !ok {
			t.Errorf("the secret has no %s", name)
		}
	}
}

func settingsOf(t *testing.T, name, text string) config.Settings {
	t.Helper()
	settings, faults := config.Load(config.Sources{File: name, Data: []byte(text)})
	for _, f := range faults {
		t.Error(f)
	}
	return settings
}

// The unit is one that systemd understands, and ends after the daemon.
func TestSystemdUnit(t *testing.T) {
	text, err := os.ReadFile("deploy/systemd/reconciler.service")
	if err != nil {
		t.Fatal(err)
	}
	if _, stop, _ := strings.Cut(string(text), "TimeoutStopSec="); !strings.HasPrefix(stop, "45s\n") ||
		settingsOf(t, "defaults", "").ShutdownTimeout.Duration().Seconds() >= 45 {
		t.Error("the daemon is killed before it ends by itself")
	}
	if !strings.Contains(string(text), "\nRestartPreventExitStatus=64\n") {
		t.Error("it is started for ever with wrong settings")
	}
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit's syntax is not checked")
	}
	unit := filepath.Join(t.TempDir(), "reconciler.service")
	known := strings.ReplaceAll(string(text), "/usr/local/bin/reconciler", "/bin/true") // which is there
	if err := os.WriteFile(unit, []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "reconciler.service:") {
		t.Errorf("%v: %s", err, out)
	}
}

// The image does not run as root, and has the place that data goes to.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("deploy/docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, _ := strings.Cut(string(text), "\nFROM gcr.io/distroless/")
	for _, want := range []string{"USER 65532:65532", "--chown=65532:65532 /data /var/lib/reconciler", `ENTRYPOINT ["/usr/local/bin/reconciler"]`} {
		if !strings.Contains(last, want) {
			t.Errorf("the last stage has no %s", want)
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(mod), "\ngo ")
	if short := strings.Join(strings.Split(strings.Fields(version)[0], ".")[:2], "."); !strings.Contains(string(text), fmt.Sprintf("FROM golang:%s-", short)) {
		t.Errorf("the image is not built with Go %s", short)
	}
}

var pageLink = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// Every page is in the list of docs/README.md, and what a page links to is there.
func TestPagesAreListed(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"docs/README.md": true}
	for _, page := range append(pages, "README.md", "examples/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range pageLink.FindAllStringSubmatch(string(text), -1) {
			to := filepath.Join(filepath.Dir(page), link[1])
			if strings.Contains(link[1], ", ") {
				continue // Go, in a table of the protocol
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", page, link[1])
			}
			if page == "docs/README.md" {
				listed[to] = true
			}
		}
	}
	for _, page := range pages {
		if !listed[page] {
			t.Errorf("docs/README.md does not list %s", page)
		}
	}
}
