package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops/openidtest"
	"millrace/ops/program"
)

// A reader of setup.md who types its blocks in the order written has two API servers behind TLS, three workers,
// sign-in through a provider, a backup that restores, and an alert when a worker is killed.
func TestTheSetupPageRuns(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var folders []string
	for debian, name := range map[string]string{"postgresql-15": "pg_dump", "nginx-light": "nginx", "prometheus": "prometheus", "curl": "curl", "openssl": "openssl"} {
		folders = append(folders, filepath.Dir(program.Find(t, debian, name)))
	}
	slices.Sort(folders)
	path := strings.Join(slices.Compact(folders), ":") + ":" + os.Getenv("PATH")
	page, err := os.ReadFile(filepath.Join(root, "ops/docs/setup.md"))
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "millrace")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	provider := openidtest.New(t)
	provider.Set(func() { provider.Claims["groups"] = []string{"millrace-ops"} })
	cluster := newCluster(t, nil)
	database, err := url.Parse(cluster.URL())
	require.NoError(t, err)
	folder, nginx := t.TempDir(), distributionsNginx(t)
	superuser := "postgres://" + database.User.String() + "@" + database.Host
	out, err = exec.Command("psql", superuser+"/postgres", "-c", "drop database if exists millrace").CombinedOutput()
	require.NoError(t, err, string(out)) // a new cluster of ours has one of that name
	_, listen, err := net.SplitHostPort(freePort(t))
	require.NoError(t, err)
	ports := twinPorts(t, 5)
	apis, workers := ports[:2], ports[2:]
	alertmanager := ""
	for _, name := range []string{"alertmanager", "prometheus-alertmanager"} {
		if found, err := exec.LookPath(name); err == nil {
			alertmanager = found
		}
	}
	alertmanagerAt := freePort(t)
	pagerAt := "127.0.0.1:0"
	if alertmanager == "" {
		require.Empty(t, os.Getenv("MILLRACE_REQUIRE"), "apt-get install prometheus-alertmanager")
		t.Log("Alertmanager is not installed (Debian package prometheus-alertmanager): alerts are taken from Prometheus itself")
		pagerAt = alertmanagerAt
	}
	pager := newPager(t, pagerAt)
	conf, state := filepath.Join(folder, "conf"), filepath.Join(folder, "state")
	values := map[string]string{
		"HOST": "localhost", "LISTEN": listen, "URL": "https://localhost:" + listen,
		"POSTGRES": database.Host, "SUPERUSER": superuser,
		"ISSUER": provider.URL, "CLIENT": openidtest.Client, "CLIENT_SECRET": openidtest.Secret, "PAGER": pager.url + "/",
		"API_PORTS": strings.Join(apis, " "), "WORKER_PORTS": strings.Join(workers, " "), "PROMETHEUS": freePort(t), "ALERTMANAGER": alertmanagerAt,
		"BIN": filepath.Join(folder, "bin"), "CONF": conf, "STATE": state, "UNITS": filepath.Join(folder, "units"), "NGINX": nginx,
	}
	site := &setupSite{t: t, url: values["URL"], conf: conf, provider: provider}
	shell := newSetupShell(t, path, state)
	named := regexp.MustCompile(`(?s)\x60\x60\x60sh (\w+)\n(.*?)\x60\x60\x60`).FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, named)
	require.Equal(t, strings.Count(string(page), "```sh"), len(named), "a block without a name")
	var ran []string
	for _, block := range named {
		name, text := block[1], block[2]
		ran = append(ran, name)
		at := time.Now()
		switch name {
		case "values":
			given := regexp.MustCompile(`(?m)(?:^|\s)([A-Z_]+)=`).FindAllStringSubmatch(text, -1)
			text = ""
			for _, value := range given {
				require.Contains(t, values, value[1], "the page asks for a value that this test does not give")
				text += value[1] + "='" + values[value[1]] + "'\n"
			}
			require.Len(t, given, len(values))
		case "folders": // make build has made it; this test's own is the code as it is now
			text = strings.Replace(text, " bin/millrace ", " "+binary+" ", 1)
		case "watch":
			site.shortenAlerts()
			if alertmanager == "" {
				text = strings.ReplaceAll(text, `alertmanager=$(`, `alertmanager=true; : $(`)
				text = strings.ReplaceAll(text, "ready \"http://$ALERTMANAGER/-/ready\"\n", "")
			}
		}
		said := shell.run(name, text)
		site.check(name, said)
		switch name {
		case "kill":
			require.Eventually(t, func() bool { return pager.has("firing Millrace_ServiceDown 127.0.0.1:" + workers[2]) }, time.Minute, 50*time.Millisecond, "%v", pager.all())
			for _, well := range slices.Concat(apis, workers[:2]) {
				require.NotContains(t, pager.all(), "firing Millrace_ServiceDown 127.0.0.1:"+well)
			}
		case "again":
			require.Eventually(t, func() bool { return pager.has("resolved Millrace_ServiceDown 127.0.0.1:" + workers[2]) }, time.Minute, 50*time.Millisecond, "%v", pager.all())
		case "first":
			site.requireBothServers(apis)
		case "stop":
			site.requireStopped(state)
		}
		t.Logf("%-10s %5.2f s", name, time.Since(at).Seconds())
	}
	require.Equal(t, []string{"values", "folders", "secrets", "database", "settings", "units", "start", "ready", "tls", "proxy", "first", "signin",
		"backup", "restore", "monitoring", "watch", "kill", "again", "look", "stop"}, ran)
	t.Logf("%.1f s", time.Since(began).Seconds())
}

// setupSite is what a reader of the page looks at beside the shell.
type setupSite struct {
	t        *testing.T
	url      string
	conf     string
	provider *openidtest.Provider
}

// client is a browser that trusts the page's authority only.
func (s *setupSite) client() *http.Client {
	s.t.Helper()
	authority, err := os.ReadFile(filepath.Join(s.conf, "tls", "ca.pem"))
	require.NoError(s.t, err)
	roots := x509.NewCertPool()
	require.True(s.t, roots.AppendCertsFromPEM(authority))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	s.t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	return &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// check holds what a block printed, or left behind, to what the page says of it.
func (s *setupSite) check(name, said string) {
	s.t.Helper()
	t := s.t
	switch name {
	case "secrets":
		files, err := os.ReadDir(filepath.Join(s.conf, "credentials"))
		require.NoError(t, err)
		require.Len(t, files, 4)
		for _, file := range files {
			info, err := file.Info()
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode(), file.Name())
		}
	case "units":
		s.verifyUnits()
	case "first":
		require.Contains(t, said, "fast", "the tune's leaderboard")
	case "signin":
		require.True(t, strings.HasPrefix(said, s.provider.URL+"/authorize?"), said)
		s.signIn()
	case "restore":
		require.Regexp(t, `(?m)^1 tunes, [1-9]\d* leaders\n`, said)
	case "look":
		require.Contains(t, said, "trials")
		var health struct {
			Status     string `json:"status"`
			Components []struct {
				Name    string `json:"name"`
				Status  string `json:"status"`
				Summary string `json:"summary"`
			} `json:"components"`
		}
		require.NoError(t, json.Unmarshal([]byte(said[strings.Index(said, "{"):]), &health), said)
		require.NotEmpty(t, health.Components)
		for _, c := range health.Components {
			require.NotEqual(t, "error", c.Status, "%s: %s", c.Name, c.Summary)
		}
	}
}

// signIn goes to the provider and back as a browser does, and opens a page for admins.
func (s *setupSite) signIn() {
	s.t.Helper()
	browser := s.client()
	get := func(path string) *http.Response {
		s.t.Helper()
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, http.NoBody)
		require.NoError(s.t, err)
		req.Header.Set("Accept", "text/html")
		resp, err := browser.Do(req)
		require.NoError(s.t, err)
		_ = resp.Body.Close()
		return resp
	}
	require.Equal(s.t, http.StatusSeeOther, get("/admin/retention").StatusCode, "nobody is signed in yet")
	code, state := s.provider.Approve(get("/admin/login/oidc").Header.Get("Location"))
	back := get("/admin/login/oidc/callback?code=" + code + "&state=" + url.QueryEscape(state))
	require.Equal(s.t, http.StatusSeeOther, back.StatusCode)
	require.Equal(s.t, http.StatusOK, get("/admin/retention").StatusCode)
}

// requireBothServers checks that the proxy has given requests to both.
func (s *setupSite) requireBothServers(ports []string) {
	s.t.Helper()
	for _, port := range ports {
		resp, err := http.Get("http://127.0.0.1:1" + port + "/metrics")
		require.NoError(s.t, err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		require.NoError(s.t, err)
		require.Regexp(s.t, `(?m)^http_requests_total\{.*route="/backtests/tunes/:id".*\} [1-9]`, string(body), "the server at %s had no request of the tune", port)
	}
}

// verifyUnits has systemd look at the units with what the page adds to them.
func (s *setupSite) verifyUnits() {
	s.t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		s.t.Log("systemd-analyze is not installed (Debian package systemd): the units are not verified here")
		return
	}
	units := filepath.Join(filepath.Dir(s.conf), "units")
	copies := s.t.TempDir()
	args := []string{"verify", "--man=no"}
	for unit, instance := range map[string]string{"millrace-api@": "8081", "millrace-worker@": "9471"} {
		body, err := os.ReadFile(filepath.Join(units, unit+".service"))
		require.NoError(s.t, err)
		added, err := os.ReadFile(filepath.Join(units, unit+".service.d", "secrets.conf"))
		require.NoError(s.t, err)
		require.Contains(s.t, string(added), "LoadCredential=DATABASE_URL:"+s.conf+"/credentials/DATABASE_URL\n")
		file := filepath.Join(copies, unit+instance+".service")
		body = []byte(strings.ReplaceAll(string(body), "/usr/local/bin/millrace", "/bin/true") + "\n" + string(added))
		require.NoError(s.t, os.WriteFile(file, body, 0o600))
		args = append(args, file)
	}
	out, err := exec.Command(analyze, args...).CombinedOutput()
	require.NoError(s.t, err, string(out))
	require.Empty(s.t, string(out))
}

// shortenAlerts has Prometheus look four times a second, alerts fire at once and Alertmanager send them at once: the
// page's minutes are what ops/prometheus/tests hold.
func (s *setupSite) shortenAlerts() {
	s.t.Helper()
	for name, change := range map[string]*strings.Replacer{
		"prometheus.yml":   strings.NewReplacer("15s", "250ms"),
		"alerts.rules.yml": strings.NewReplacer("for: 1m\n", "for: 0s\n"),
		"alertmanager.yml": strings.NewReplacer("group_wait: 30s", "group_wait: 0s", "group_interval: 5m", "group_interval: 500ms"),
	} {
		file := filepath.Join(s.conf, "prometheus", name)
		body, err := os.ReadFile(file)
		require.NoError(s.t, err)
		changed := change.Replace(string(body))
		require.NotEqual(s.t, string(body), changed, name)
		require.NoError(s.t, os.WriteFile(file, []byte(changed), 0o600))
	}
}

// requireStopped waits until nothing that the page started runs any more.
func (s *setupSite) requireStopped(state string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "*.pid"))
	require.NoError(s.t, err)
	require.GreaterOrEqual(s.t, len(files), 6)
	for _, file := range files {
		pid, err := os.ReadFile(file)
		require.NoError(s.t, err)
		require.Eventually(s.t, func() bool { // gone, or dead where process 1 collects nothing
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		}, 30*time.Second, 20*time.Millisecond, "%s still runs", filepath.Base(file))
	}
}
