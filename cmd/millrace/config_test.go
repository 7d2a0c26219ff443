package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
)

func TestTheTableOfVariablesIsThatOfTheProgram(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config", "--markdown"}, &out, &errs), errs.String())
	kept, err := os.ReadFile(filepath.Join(root, "ops/docs/configuration.md"))
	require.NoError(t, err)
	require.Equal(t, out.String(), string(kept), "run: bin/millrace config --markdown > ops/docs/configuration.md")
}

// Each window of retention is a setting, with the job's own default.
func TestWindowsOfRetentionAreSettings(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config", "--markdown"}, &out, &errs), errs.String())
	windows := retentionFlags{}.windows()
	for _, job := range jobs.Retentions() {
		_, isSetting := windows[job.Name]
		require.Equal(t, job.Days > 0, isSetting, job.Name)
		if isSetting {
			require.Contains(t, out.String(), fmt.Sprintf("| `RETENTION_%s` | `--retention-%s` | `%d` |", strings.ToUpper(job.Name), strings.ReplaceAll(job.Name, "_", "-"), job.Days))
		}
	}
	require.ErrorContains(t, retentionFlags{AuditLog: 89}.check(), "--retention-audit-log (RETENTION_AUDIT_LOG): 89 is not from 90 to 36500 days")
}

func TestConfigShowsNoSecret(t *testing.T) {
	t.Setenv("ADMIN_TOKEN", "a-secret-that-may-not-show-0123456789")
	t.Setenv("DATABASE_URL", "postgres://millrace:password@db/millrace")
	t.Setenv("MILLRACE_DRAIN", "42s")
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config"}, &out, &errs), errs.String())
	require.NotContains(t, out.String(), "secret")
	require.NotContains(t, out.String(), "password@")
	require.Regexp(t, `(?m)^MILLRACE_DRAIN +42s +environment`, out.String())
	require.Regexp(t, `(?m)^ADMIN_TOKEN +\(37 characters\) +environment`, out.String())
}
