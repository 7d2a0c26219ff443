package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// only leaves no variable of the program set but these, given as name, value, …
func only(t *testing.T, variables ...string) {
	t.Helper()
	for _, s := range settings(newParser(t).Model.Node) {
		if _, set := os.LookupEnv(s.Variable); set {
			t.Setenv(s.Variable, "") // has it put back at the end
			require.NoError(t, os.Unsetenv(s.Variable))
		}
	}
	for i := 0; i+1 < len(variables); i += 2 {
		t.Setenv(variables[i], variables[i+1])
	}
}

// refused runs a verb that must not start, and returns what it says.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 2, run(ctx, args, &out, &errs), "%v: %s%s", args, out.String(), errs.String())
	return errs.String()
}

const (
	longToken = "0123456789abcdef0123456789abcdef"
	noPlace   = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
)

func TestProductionRefusesMissingAndUnsafeSettings(t *testing.T) {
	only(t, "CONFIG_PROFILE", "production")
	said := refused(t, "api")
	for _, variable := range []string{"DATABASE_URL", "ADMIN_TOKEN", "CORS_ORIGINS"} {
		require.Contains(t, said, variable, "all that is wrong is said at once")
	}
	require.Contains(t, refused(t, "dev"), "CONFIG_PROFILE")

	fine := []string{"CONFIG_PROFILE", "production", "DATABASE_URL", noPlace, "ADMIN_TOKEN", longToken, "CORS_ORIGINS", "none"}
	for name, bad := range map[string][]string{
		"ADMIN_TOKEN":     {longToken[:31], ""},
		"CORS_ORIGINS":    {"", " , ", "*", "https://*.example.com", "http://example.com", "https://example.com/", "https://u@example.com", "example.com", "null", "https://", "https://a.example,none", "https://a.example?x", "ftp://a.example"},
		"TRUSTED_PROXIES": {"proxy", "10.0.0.0/33"},
	} {
		for _, value := range bad {
			only(t, append(fine, name, value)...)
			said := refused(t, "config", "--check", "api")
			require.Contains(t, said, name, "%q", value)
			require.Contains(t, refused(t, "api"), name, "%q", value)
			if name == "ADMIN_TOKEN" && value != "" {
				require.NotContains(t, said, value)
				require.Contains(t, refused(t, "worker"), name)
			}
		}
	}
	for _, origins := range []string{"none", "https://app.example.com", "https://a.example:8443,http://localhost:5173", "HTTPS://B.Example:443"} {
		only(t, append(fine, "CORS_ORIGINS", origins)...)
		var out, errs bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"config", "--check", "api"}, &out, &errs), errs.String())
		require.Contains(t, out.String(), "production")
	}
	only(t, "DATABASE_URL", noPlace)
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config", "--check", "api"}, &out, &errs), "development asks for no more: %s", errs.String())
}

// What no server can start with is refused by the name of its variable, whichever it is: of a number,
// a time or a choice any other text, and of the rest what is listed here.
func TestABadValueIsRefusedByItsName(t *testing.T) {
	bad := map[string][]string{
		"MILLRACE_ADDR": {"nowhere", "127.0.0.1:99999"}, "MILLRACE_METRICS_ADDR": {"nowhere"},
		"MILLRACE_QUEUES": {"trials", "trials:0", "none:1"}, "MILLRACE_DRAIN": {"-1s"}, "MILLRACE_SHARD_TIME": {"0s"},
		"CORS_ORIGINS": {"example.com"}, "TRUSTED_PROXIES": {"x"}, "ADMIN_TOKEN": {"short"}, "DATABASE_URL": {"", "postgres://%zz"}, "WORKSPACE_DATABASE_URL": {"postgres://%zz"},
		"LIMIT_LOGINS": {"-1"}, "LIMIT_UPLOADS": {"-1"}, "LIMIT_QUERIES": {"-1"}, "LIMIT_ADDRESS_QUERIES": {"-1"}, "LIMIT_SUBMISSIONS": {"-1"}, "LIMIT_QUEUE_DEPTH": {"-1"},
		"FETCH_ALLOW_NETWORKS": {"10.0.0.1"}, "WEBHOOK_ALLOW_NETWORKS": {"10.0.0.1"}, "WEBHOOK_KEY": {"short"}, "PDF_MAX_PAGES": {"0"}, "PDF_TIMEOUT": {"0s"}, "OCR_COMMAND": {"no-such-program - -"}, "OCR_TIMEOUT": {"16m"}, "SENTRY_DSN": {"here"}, "SENTRY_TRACES_SAMPLE_RATE": {"2"},
		"RERANKER_URL": {"nowhere"}, "QDRANT_URL": {"nowhere"}, "LLM_TIMEOUT": {"-1s"}, "MILLRACE_VECTOR_MEMORY_MB": {"0"}, "MILLRACE_TEXT_MEMORY_MB": {"0"}, "EMBEDDER_DIMENSIONS": {"-1"},
		"OTEL_EXPORTER_OTLP_ENDPOINT": {"nowhere", "ftp://h"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": {"nowhere"}, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": {"nowhere"},
		"OTEL_EXPORTER_OTLP_HEADERS": {"key", "a=%zz"}, "OTEL_EXPORTER_OTLP_PROTOCOL": {"grpc"}, "OTEL_EXPORTER_OTLP_TIMEOUT": {"0"}, "OTEL_METRIC_EXPORT_INTERVAL": {"0"},
		"OTEL_BSP_SCHEDULE_DELAY": {"0"}, "OTEL_TRACES_SAMPLER_ARG": {"2", "x"}, "OTEL_RESOURCE_ATTRIBUTES": {"name"}, "MILLRACE_RELOAD": {"/nowhere/reload.env"},
		"OIDC_ISSUER": {"http://login.example.com"}, "OIDC_CLIENT_ID": {"alone"}, "OIDC_CA": {"/nowhere/ca.pem"}, "OIDC_CLIENT_SECRET": {"alone"}, "OIDC_REDIRECT_URL": {"https://alone.example.com"}, "OIDC_GRANTS": {"ops=admin"},
		"MILLRACE_TLS_CERT": {"/nowhere/cert.pem"}, "MILLRACE_TLS_KEY": {"/nowhere/key.pem"},
	}
	anything := map[string]string{ // what is never wrong by itself
		"OTEL_SERVICE_NAME":  "a name",
		"OIDC_SCOPES":        "asked for by OIDC_ISSUER",
		"OIDC_CLAIM":         "asked for by OIDC_ISSUER",
		"OIDC_SESSION":       "asked for by OIDC_ISSUER",
		"MILLRACE_CACHE_DIR": "a folder that cannot be made costs a compilation",
		"SENTRY_ENVIRONMENT": "a name", "EMBEDDER_API_KEY": "a secret", "LLM_API_KEY": "a secret", "RERANKER_API_KEY": "a secret", "QDRANT_API_KEY": "a secret",
		"EMBEDDER_URL": "asked for by EMBEDDER", "EMBEDDER_MODEL": "asked for by EMBEDDER", "EMBEDDER_FILE": "asked for by EMBEDDER", "LLM_URL": "asked for by LLM_PROVIDER", "LLM_MODEL": "asked for by LLM_PROVIDER", "RERANKER_MODEL": "a name",
	}
	url := pgtest.New(t).URL
	for _, s := range settings(newParser(t).Model.Node) {
		verb := "api"
		for _, reader := range s.Verbs {
			if reader == "worker" {
				verb = "worker"
			}
		}
		if readers := " " + strings.Join(s.Verbs, " ") + " "; !strings.Contains(readers, " all ") && !strings.Contains(readers, " api ") && verb != "worker" {
			continue // of the client, which a person sits before
		}
		if _, ok := anything[s.Variable]; ok {
			continue
		}
		values := bad[s.Variable]
		if s.typed {
			values = append([]string{"?"}, values...)
		}
		require.NotEmpty(t, values, "%s: name a value that is refused, or say why none is", s.Variable)
		for _, value := range values {
			only(t, "DATABASE_URL", url, "ADMIN_TOKEN", longToken, "MILLRACE_ADDR", "127.0.0.1:0", s.Variable, value)
			require.Contains(t, refused(t, verb), s.Variable, "%q for millrace %s", value, verb)
		}
	}
	for _, llm := range []string{"openai", "anthropic", "ollama"} {
		only(t, "DATABASE_URL", url, "LLM_PROVIDER", llm, "LLM_URL", "nowhere", "MILLRACE_ADDR", "127.0.0.1:0")
		require.Contains(t, refused(t, "api"), "LLM_URL")
	}
	only(t, "DATABASE_URL", url, "EMBEDDER", "openai", "MILLRACE_ADDR", "127.0.0.1:0")
	require.Contains(t, refused(t, "api"), "EMBEDDER_URL")
	only(t, "DATABASE_URL", url, "EMBEDDER", "local", "MILLRACE_ADDR", "127.0.0.1:0")
	require.Contains(t, refused(t, "api"), "EMBEDDER_FILE: name the file")
}

func TestDoctorSeesTheConfiguration(t *testing.T) {
	url := pgtest.New(t).URL
	look := func() string {
		var out, errs bytes.Buffer
		run(t.Context(), []string{"doctor", "--database-url", url}, &out, &errs)
		return out.String()
	}
	only(t)
	require.Regexp(t, `(?m)^configuration +ok +.*development`, look())
	only(t, "CONFIG_PROFILE", "production", "ADMIN_TOKEN", "a-token-too-short")
	said := look()
	require.Regexp(t, `(?m)^configuration +error +.*CORS_ORIGINS.*ADMIN_TOKEN`, said)
	require.NotContains(t, said, "a-token-too-short")
}

// In production a server that starts serves no document, asks browsers to keep to TLS, and answers
// the pages of the sites that were named.
func TestAServerInProduction(t *testing.T) {
	url := pgtest.New(t).URL
	only(t, "CONFIG_PROFILE", "production", "ADMIN_TOKEN", longToken, "CORS_ORIGINS", "https://app.example.com", "MILLRACE_ADDR", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	log, done := &lockedBuffer{}, make(chan int, 1)
	go func() { done <- run(ctx, []string{"api", "--database-url", url}, log, log) }()
	address := (&process{t: t, log: log}).await("addr=")
	get := func(path string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://app.example.com")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	require.Equal(t, http.StatusNotFound, get("/docs").StatusCode)
	version := get("/version")
	require.Equal(t, http.StatusOK, version.StatusCode)
	require.Equal(t, "https://app.example.com", version.Header.Get("Access-Control-Allow-Origin"))
	require.NotEmpty(t, version.Header.Get("Strict-Transport-Security"))
	require.Equal(t, http.StatusUnauthorized, get("/admin").StatusCode)
	stop()
	require.Zero(t, <-done, log)
}
