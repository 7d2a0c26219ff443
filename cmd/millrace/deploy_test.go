package main

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"millrace/ops/program"
	"millrace/store/pgtest"
)

const root = "../.."

// composeSecrets are the variables without which the compose file starts nothing.
func composeSecrets() map[string]string {
	return map[string]string{
		"POSTGRES_PASSWORD": "test-password", "MILLRACE_LOGIN_PASSWORD": "server-password", "ADMIN_TOKEN": strings.Repeat("t", 40), "GRAFANA_PASSWORD": "board-password",
	}
}

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	project, err := composeWith(t, composeSecrets())
	require.NoError(t, err)
	return project
}

func composeWith(t *testing.T, environment map[string]string) (*types.Project, error) {
	t.Helper()
	file := filepath.Join(root, "docker-compose.yml")
	body, err := os.ReadFile(file)
	require.NoError(t, err)
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: root, ConfigFiles: []types.ConfigFile{{Filename: file, Content: body}}, Environment: environment,
	}, func(o *loader.Options) { o.SetProjectName("millrace", true) })
}

// No password or token has a default: without it nothing starts, and it is named.
func TestComposeHasNoDefaultPassword(t *testing.T) {
	for name := range composeSecrets() {
		for _, value := range []string{"", "unset"} {
			environment := composeSecrets()
			delete(environment, name)
			if value == "" {
				environment[name] = ""
			}
			_, err := composeWith(t, environment)
			require.ErrorContains(t, err, name)
		}
	}
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`\$\{(\w*(?:PASSWORD|TOKEN|SECRET|KEY)\w*):-([^}]+)\}`).FindAllStringSubmatch(string(compose), -1) {
		t.Errorf("%s has the default %q", match[1], match[2])
	}
}

// Every service has bounds of memory and log, and every one that stays says how it is.
func TestEveryServiceOfComposeIsBoundedAndWatched(t *testing.T) {
	for name, service := range loadCompose(t).Services {
		require.Positive(t, service.MemLimit, "%s may take all memory", name)
		require.NotNil(t, service.Logging, name)
		require.NotEmpty(t, service.Logging.Options["max-size"], "the log of %s has no end", name)
		if service.Restart == "no" {
			continue
		}
		require.NotNil(t, service.HealthCheck, "nobody knows how %s is", name)
		require.NotEmpty(t, service.HealthCheck.Test, name)
	}
}

func newParser(t *testing.T) *kong.Kong {
	t.Helper()
	var cli commands
	parser, err := kong.New(&cli, kong.Name("millrace"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	require.NoError(t, err)
	return parser
}

// variables are all environment variables that the program reads.
func variables(t *testing.T) []string {
	t.Helper()
	var names []string
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, flag := range n.Flags {
			names = append(names, flag.Envs...)
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(newParser(t).Model.Node)
	return names
}

// The compose file is what the specification allows, its commands and variables are the program's,
// and what it mounts is there.
func TestTheComposeFileIsSound(t *testing.T) {
	project := loadCompose(t)
	known := variables(t)
	ours := 0
	for name, service := range project.Services {
		require.True(t, service.Image != "" || service.Build != nil, name)
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				require.FileExists(t, existing(t, volume.Source), "%s mounts it", name)
			}
		}
		if !strings.HasPrefix(service.Image, "millrace") {
			continue
		}
		ours++
		require.FileExists(t, filepath.Join(service.Build.Context, "Dockerfile"))
		for variable := range service.Environment {
			require.Contains(t, known, variable, "%s sets what nothing reads", name)
		}
		_, err := newParser(t).Parse(service.Command)
		require.NoError(t, err, "%s: %v", name, service.Command)
		if service.HealthCheck != nil {
			_, err := newParser(t).Parse(service.HealthCheck.Test[2:])
			require.NoError(t, err, "%s: %v", name, service.HealthCheck.Test)
		}
		require.True(t, service.ReadOnly, name)
	}
	require.Equal(t, 4, ours, "migrate, two API servers, workers")

	proxy := project.Services["proxy"]
	template, err := os.ReadFile(filepath.Join(root, "ops/nginx/millrace.conf.template"))
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(template), -1) {
		require.Contains(t, proxy.Environment, match[1])
	}
	for _, server := range []string{"API_A", "API_B"} {
		host, _, _ := strings.Cut(*proxy.Environment[server], ":")
		require.Contains(t, project.Services, host)
	}
}

// existing is the file, or any file in the folder.
func existing(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if !info.IsDir() {
		return path
	}
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.NotEmpty(t, entries, path)
	return existing(t, filepath.Join(path, entries[0].Name()))
}

// Every name of .env.example is one that the compose file asks for, and the other way round.
func TestTheExampleEnvironmentIsComplete(t *testing.T) {
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	require.NoError(t, err)
	given := []string{"GIT_SHA", "BUILD_TIME", "MILLRACE_IMAGE"} // of the builder of the image
	for _, match := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllStringSubmatch(string(example), -1) {
		require.Contains(t, string(compose), "${"+match[1], "nothing reads it")
		given = append(given, match[1])
	}
	for _, match := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(string(compose), -1) {
		require.Contains(t, given, match[1])
	}
}

// The Dockerfile's own build makes one static binary. -trimpath is left out: it changes no code and
// would compile everything again.
func TestTheImagesBinaryIsStatic(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^USER [1-9]`, string(dockerfile), "it runs as root")
	line := regexp.MustCompile(`(?s)CGO_ENABLED=0 go build (.*?) \\?\s*-o`).FindStringSubmatch(string(dockerfile))
	require.NotNil(t, line)
	flags := regexp.MustCompile(`-ldflags "(.*)"`).FindStringSubmatch(line[1])
	require.NotNil(t, flags)
	binary := filepath.Join(t.TempDir(), "millrace")
	ldflags := strings.NewReplacer("${GIT_SHA}", "abc1234", "${BUILD_TIME}", "2026-01-02T03:04:05Z").Replace(flags[1])
	build := exec.Command("go", "build", "-ldflags", ldflags, "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := elf.Open(binary)
	require.NoError(t, err)
	defer func() { _ = program.Close() }()
	require.False(t, slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), "it needs a loader")
	said, err := exec.Command(binary, "version").Output()
	require.NoError(t, err)
	require.True(t, bytes.Contains(said, []byte("abc1234")), string(said))
}

// The units start what the program has, with what a unit may ask for.
func TestTheUnitsAreSound(t *testing.T) {
	units, err := filepath.Glob(filepath.Join(root, "ops/systemd/*.service"))
	require.NoError(t, err)
	require.Len(t, units, 3)
	for _, unit := range units {
		body, err := os.ReadFile(unit)
		require.NoError(t, err)
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/millrace (.*)$`).FindStringSubmatch(string(body))
		require.NotNil(t, start, unit)
		_, err = newParser(t).Parse(strings.Fields(strings.ReplaceAll(start[1], "%i", "8081")))
		require.NoError(t, err, unit)
		require.Contains(t, string(body), "NoNewPrivileges=yes", unit)
	}
}

// systemd itself finds nothing to complain about, and the units start again for as long as the
// database is away. One environment file serves all: what differs between processes is the unit's.
func TestTheUnitsAreValidForSystemd(t *testing.T) {
	analyze := program.Find(t, "systemd", "systemd-analyze")
	folder := t.TempDir()
	units, err := filepath.Glob(filepath.Join(root, "ops/systemd/*.service"))
	require.NoError(t, err)
	args := []string{"verify", "--man=no"}
	metrics := map[string]bool{}
	for _, unit := range units {
		body, err := os.ReadFile(unit)
		require.NoError(t, err)
		require.Contains(t, string(body), "StartLimitIntervalSec=0\n", unit)
		require.Regexp(t, `(?m)^Restart=(always|on-failure)$`, string(body), unit)
		instance := strings.Replace(filepath.Base(unit), "@.", "@8081.", 1)
		copied := filepath.Join(folder, instance)
		require.NoError(t, os.WriteFile(copied, bytes.ReplaceAll(body, []byte("/usr/local/bin/millrace"), []byte("/bin/true")), 0o600))
		args = append(args, copied)
		if strings.Contains(unit, "@") {
			address := regexp.MustCompile(`--metrics-addr (\S+)`).FindStringSubmatch(string(body))
			require.NotNil(t, address, "%s: an address in the shared file would be every process's", unit)
			require.False(t, metrics[address[1]], unit)
			metrics[address[1]] = true
			require.Contains(t, string(body), "ExecReload=/bin/kill -HUP $MAINPID\n", unit)
		}
	}
	out, err := exec.Command(analyze, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
}

// A process that cannot have its metrics port never says that it is ready, and takes no work.
func TestNoProcessIsReadyWithoutItsMetricsPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	db := pgtest.New(t)
	for _, verb := range [][]string{{"api", "--addr", "127.0.0.1:0"}, {"worker"}} {
		var out bytes.Buffer
		status := run(refusal(t), append(verb, "--database-url", db.URL, "--metrics-addr", taken.Addr().String()), &out, &out)
		require.Equal(t, 2, status, out.String())
		require.Contains(t, out.String(), "MILLRACE_METRICS_ADDR")
		require.NotContains(t, out.String(), verb[0]+" ready")
	}
}
