package main

import (
	"bufio"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/signin"
	"millrace/ops/openidtest"
)

// SIGHUP has a server read its secrets' files and MILLRACE_RELOAD again: what can be replaced while it runs is, the
// rest is named, and of a mistake nothing is taken.
func TestAHangupReloads(t *testing.T) {
	const before, after = "admin-token-before-the-hangup", "admin-token-after-the-hangup"
	folder := t.TempDir()
	token, settings, llm := filepath.Join(folder, "token"), filepath.Join(folder, "reload.env"), filepath.Join(folder, "llm")
	write := func(file, content string) { require.NoError(t, os.WriteFile(file, []byte(content), 0o600)) }
	write(token, before)
	write(settings, "")
	write(llm, "key-of-a-model")
	provider, authority := openidtest.NewTLS(t)
	client, ca := filepath.Join(folder, "client"), filepath.Join(folder, "ca.pem")
	write(client, "an-old-secret-of-the-client")
	write(ca, string(authority))
	only(t, "ADMIN_TOKEN_FILE", token, "MILLRACE_RELOAD", settings, "LLM_API_KEY_FILE", llm,
		"OIDC_ISSUER", provider.URL, "OIDC_CA", ca, "OIDC_CLIENT_ID", openidtest.Client, "OIDC_CLIENT_SECRET_FILE", client,
		"OIDC_REDIRECT_URL", "http://127.0.0.1"+signin.CallbackPath, "OIDC_GRANTS", "quants=e2e:member")
	f := newFleetOn(t, newCluster(t, nil))
	api := f.process("api", "--addr", "127.0.0.1:0")
	f.url = "http://" + api.await("addr=")
	worker := f.process("worker", "--queues", "maintenance:1")
	worker.await("worker ready")
	answer := func(token string) int {
		status, _ := f.call(http.MethodGet, "/admin/workspaces", "", nil, "X-Admin-Token", token)
		return status
	}
	times := func(p *process, marker string, n int) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Count(p.log.String(), marker) == n }, 30*time.Second, 10*time.Millisecond, "%s", p.log)
	}
	require.Equal(t, http.StatusOK, answer(before))
	stream := f.openStream(before)

	require.Equal(t, http.StatusForbidden, f.signIn(provider), "the provider has another secret of the client")
	write(client, openidtest.Secret)
	write(token, before+"\n"+after)
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGHUP))
	times(api, "msg=reloaded settings=\"ADMIN_TOKEN OIDC_CLIENT_SECRET\" need_a_restart=\"\"", 1)
	require.Equal(t, http.StatusSeeOther, f.signIn(provider), "the secret that was reloaded is not used")
	require.Equal(t, http.StatusOK, answer(before), "both values work while one is replaced")
	require.Equal(t, http.StatusOK, answer(after))

	write(token, after)
	write(settings, "MILLRACE_LOG=debug\nCORS_ORIGINS=https://app.example.com\nNOT_OURS=1\n")
	write(llm, "another-key-of-a-model")
	require.NotContains(t, api.log.String(), "level=DEBUG")
	for p, restart := range map[*process]string{api: `"CORS_ORIGINS LLM_API_KEY"`, worker: "LLM_API_KEY"} { // a worker reads no CORS_ORIGINS
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
		times(p, "need_a_restart="+restart+"\n", 1)
	}
	require.Contains(t, api.log.String(), `settings="MILLRACE_LOG ADMIN_TOKEN"`)
	require.Equal(t, http.StatusUnauthorized, answer(before))
	require.Equal(t, http.StatusOK, answer(after))
	require.Contains(t, api.log.String(), "level=DEBUG")
	require.True(t, stream(), "a stream that the old token opened continues")

	write(token, "short")
	write(settings, "MILLRACE_LOG=error\n")
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGHUP))
	times(api, "nothing was reloaded", 1)
	require.Equal(t, http.StatusOK, answer(after), "a mistake takes the token away")
	for _, secret := range []string{before, after, "key-of-a-model", "short\n", openidtest.Secret, "an-old-secret"} {
		require.NotContains(t, api.log.String(), secret)
	}
	for _, p := range []*process{api, worker} {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.cmd.Wait(), "%s", p.log)
		require.Contains(t, p.log.String(), "msg=stopped")
	}
}

// signIn goes to the provider and back as a browser does, and returns the status of the callback.
func (f *fleetUnderTest) signIn(provider *openidtest.Provider) int {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(f.t, err)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path string) *http.Response {
		f.t.Helper()
		resp, err := browser.Get(f.url + path)
		require.NoError(f.t, err)
		_ = resp.Body.Close()
		return resp
	}
	begun := get("/admin/login/oidc")
	require.Equal(f.t, http.StatusSeeOther, begun.StatusCode, "the provider's certificate is not accepted")
	code, state := provider.Approve(begun.Header.Get("Location"))
	return get(signin.CallbackPath + "?code=" + code + "&state=" + url.QueryEscape(state)).StatusCode
}

// openStream follows all events with an admin token, and returns what waits for the stream's end.
func (f *fleetUnderTest) openStream(token string) (ended func() bool) {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	f.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/admin/events/stream", nil)
	require.NoError(f.t, err)
	req.Header.Set("X-Admin-Token", token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	require.Equal(f.t, http.StatusOK, resp.StatusCode)
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	return func() bool {
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
		}
		return ctx.Err() == nil
	}
}

// What reloads nothing stops with SIGHUP as with SIGTERM: a terminal that is closed leaves no process behind.
func TestAHangupStopsWhatReloadsNothing(t *testing.T) {
	ctx, stop := withHangups(context.Background())
	defer stop()
	reloads := make(chan struct{}, 1)
	onHangup(ctx, func() { reloads <- struct{}{} })
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	select {
	case <-reloads:
	case <-time.After(30 * time.Second):
		t.Fatal("SIGHUP reloads nothing")
	}
	require.NoError(t, ctx.Err())
	other, stopOther := withHangups(context.Background())
	defer stopOther()
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	select {
	case <-other.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("SIGHUP stops nothing")
	}
}
