package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"millrace/jobs"
)

// What the base uses of Kubernetes, with its members' names: anything else in a file is a mistake.
type (
	kubeMeta struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	kubeSelector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	kubePort struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
	}
	kubeProbe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
	kubeContainer struct {
		Name  string     `yaml:"name"`
		Image string     `yaml:"image"`
		Args  []string   `yaml:"args"`
		Ports []kubePort `yaml:"ports"`
		Env   []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		LivenessProbe   *kubeProbe `yaml:"livenessProbe"`
		ReadinessProbe  *kubeProbe `yaml:"readinessProbe"`
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct {
				Drop []string `yaml:"drop"`
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	kubePod struct {
		RestartPolicy                 string `yaml:"restartPolicy"`
		AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
		TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool              `yaml:"runAsNonRoot"`
			RunAsUser      int               `yaml:"runAsUser"`
			FSGroup        int               `yaml:"fsGroup"`
			SeccompProfile map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []kubeContainer `yaml:"containers"`
		Volumes    []struct {
			Name   string `yaml:"name"`
			Secret *struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			} `yaml:"secret"`
			EmptyDir *struct {
				SizeLimit string `yaml:"sizeLimit"`
			} `yaml:"emptyDir"`
		} `yaml:"volumes"`
	}
	kubeWorkload struct {
		Replicas     *int         `yaml:"replicas"`
		BackoffLimit int          `yaml:"backoffLimit"`
		Selector     kubeSelector `yaml:"selector"`
		Strategy     struct {
			Type          string `yaml:"type"`
			RollingUpdate struct {
				MaxSurge       int `yaml:"maxSurge"`
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		} `yaml:"strategy"`
		Template struct {
			Metadata kubeMeta `yaml:"metadata"`
			Spec     kubePod  `yaml:"spec"`
		} `yaml:"template"`
	}
	kubeObject struct {
		APIVersion string    `yaml:"apiVersion"`
		Kind       string    `yaml:"kind"`
		Metadata   kubeMeta  `yaml:"metadata"`
		Spec       yaml.Node `yaml:"spec"`
		workload   kubeWorkload
	}
)

// strictly decodes what has members of the type alone.
func strictly(t *testing.T, node *yaml.Node, into any) {
	t.Helper()
	text, err := yaml.Marshal(node)
	require.NoError(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into))
}

// kubeObjects are the objects of a folder and of the folders that it names, by kind and name.
func kubeObjects(t *testing.T, folder string) map[string]*kubeObject {
	t.Helper()
	var named struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Namespace  string   `yaml:"namespace"`
		Resources  []string `yaml:"resources"`
		Images     []struct {
			Name    string `yaml:"name"`
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		} `yaml:"images"`
	}
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	require.NoError(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&named))
	require.Equal(t, []string{"kustomize.config.k8s.io/v1beta1", "Kustomization"}, []string{named.APIVersion, named.Kind})
	all := map[string]*kubeObject{}
	files := []string{"kustomization.yaml"}
	for _, resource := range named.Resources {
		path := filepath.Join(folder, resource)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			for key, object := range kubeObjects(t, path) {
				all[key] = object
			}
			continue
		}
		files = append(files, resource)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		for {
			var object kubeObject
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, resource)
			if object.Kind == "Deployment" || object.Kind == "Job" {
				strictly(t, &object.Spec, &object.workload)
			}
			all[object.Kind+"/"+object.Metadata.Name] = &object
		}
	}
	there, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, entry := range there {
		require.Contains(t, files, entry.Name(), "a file that kustomization.yaml does not name")
	}
	return all
}

// requirePod holds a pod of ours to what the restricted profile asks, to the program's verbs and settings, and to its
// own volumes and ports.
func requirePod(t *testing.T, name string, pod *kubePod) {
	t.Helper()
	require.Len(t, pod.Containers, 1, name)
	require.False(t, *pod.AutomountServiceAccountToken, name)
	require.True(t, pod.SecurityContext.RunAsNonRoot, name)
	require.Equal(t, "RuntimeDefault", pod.SecurityContext.SeccompProfile["type"], name)
	c := pod.Containers[0]
	require.Equal(t, "millrace", c.Image, "%s: kustomization.yaml names the image", name)
	require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
	require.True(t, c.SecurityContext.ReadOnlyRootFilesystem, name)
	require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
	require.NotEmpty(t, c.Resources.Limits["memory"], name)
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	for _, v := range pod.Volumes {
		require.Contains(t, mounts, v.Name, name)
	}
	require.Len(t, pod.Volumes, len(mounts), name)
	_, err := newParser(t).Parse(slices.Concat(c.Args, requiredArgs(c)))
	require.NoError(t, err, name)
	var known []string
	for _, s := range settings(newParser(t).Model.Node) {
		if slices.Contains(s.Verbs, c.Args[0]) || slices.Contains(s.Verbs, "all") {
			known = append(known, s.Variable)
			if s.secret() {
				known = append(known, s.Variable+"_FILE")
			}
		}
	}
	for _, variable := range c.Env {
		require.Contains(t, known, variable.Name, "%s: %s does not read it", name, c.Args[0])
		if path, isFile := strings.CutPrefix(variable.Value, mounts["secrets"]+"/"); strings.HasSuffix(variable.Name, "_FILE") {
			require.True(t, isFile && path != "", "%s: %s is in no volume", name, variable.Name)
		}
	}
	for _, probe := range []*kubeProbe{c.LivenessProbe, c.ReadinessProbe} {
		if probe == nil {
			continue
		}
		require.True(t, slices.ContainsFunc(c.Ports, func(p kubePort) bool { return p.Name == probe.HTTPGet.Port }), "%s: no port %s", name, probe.HTTPGet.Port)
		require.Contains(t, []string{"/healthz", "/readyz"}, probe.HTTPGet.Path, name)
	}
}

// requiredArgs give a verb what the files of the pod will.
func requiredArgs(c kubeContainer) []string { return []string{"--database-url", "postgres://h/d"} }

// The base for Kubernetes has what the program needs, and nothing that it or Kubernetes does not know.
func TestTheBaseForKubernetesFitsTheProgram(t *testing.T) {
	t.Parallel()
	all := kubeObjects(t, filepath.Join(root, "ops/deploy/kubernetes"))
	for _, name := range []string{
		"Namespace/millrace", "Job/millrace-migrate", "Deployment/millrace-api", "Service/millrace-api", "PodDisruptionBudget/millrace-api",
		"Deployment/millrace-worker", "Deployment/millrace-worker-trials", "ScaledObject/millrace-worker-trials", "TriggerAuthentication/millrace-demand",
	} {
		require.Contains(t, all, name)
	}
	queues := map[string]bool{}
	for name, object := range all {
		if object.Kind != "Deployment" && object.Kind != "Job" {
			continue
		}
		pod := &object.workload.Template.Spec
		requirePod(t, name, pod)
		if object.Kind == "Deployment" {
			require.Equal(t, object.workload.Selector.MatchLabels, object.workload.Template.Metadata.Labels, name)
			require.NotNil(t, pod.Containers[0].LivenessProbe, name)
		}
		if args := pod.Containers[0].Args; args[0] == "worker" {
			slots, err := jobs.ParseSlots(args[slices.Index(args, "--queues")+1])
			require.NoError(t, err, name)
			for queue := range slots {
				queues[queue] = true
			}
			drain, err := time.ParseDuration(envOf(pod.Containers[0], "MILLRACE_DRAIN"))
			require.NoError(t, err, name)
			require.Greater(t, time.Duration(pod.TerminationGracePeriodSeconds)*time.Second, drain+5*time.Second, "%s: it is killed within its drain", name)
		}
	}
	for _, queue := range jobs.Queues() {
		require.True(t, queues[queue], "no worker works the queue %s", queue)
	}
	require.Equal(t, "/readyz", all["Deployment/millrace-api"].workload.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path)
	require.Nil(t, all["Deployment/millrace-worker-trials"].workload.Replicas, "KEDA sets them")
}

func envOf(c kubeContainer, name string) string {
	for _, variable := range c.Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}
