package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthIsShownToTheAdminOnly(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/admin/system/health.json", "").status)
	type view struct {
		Status     string
		Version    string
		Components []struct {
			Name, Status, Summary, Advice, Runbook string
			Details                                map[string]any
		}
	}
	look := func() map[string]string {
		statuses := map[string]string{}
		v := into[view](t, r.admin(http.MethodGet, "/admin/system/health.json", ""))
		for _, c := range v.Components {
			statuses[c.Name] = c.Status
			require.NotEmpty(t, c.Summary, c.Name)
			require.NotEmpty(t, c.Runbook, c.Name)
		}
		statuses["overall"] = v.Status
		return statuses
	}
	statuses := look()
	for _, c := range []string{"database", "idempotency", "ingestion", "llm", "qdrant", "retention", "schedules", "sse", "tunes", "webhooks"} {
		require.Contains(t, statuses, c)
	}
	require.Equal(t, "ok", statuses["retention"])
	r.exec(`drop table ingest_jobs cascade`)
	require.Equal(t, "error", look()["ingestion"])
	require.Equal(t, "error", look()["overall"])

	page := r.admin(http.MethodGet, "/admin/system/health", "")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.header.Get("Content-Type"), "text/html")
	for name := range statuses {
		if name != "overall" {
			require.Contains(t, string(page.body), ` id="`+name+`"`)
		}
	}
	require.Contains(t, string(page.body), "ingest_jobs")
}

func TestReadinessIsFiveHundredAndThreeWhenAPartIsMissing(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/readyz", "").status)
	r.exec(`delete from millrace_migration where version_id > 1`)
	a := r.do(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	p := into[struct{ Errors []struct{ Field string } }](t, a)
	require.Len(t, p.Errors, 1)
	require.Equal(t, "migrations", p.Errors[0].Field)
}
