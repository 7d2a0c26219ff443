package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTableOfVariablesIsThatOfTheProgram(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"config", "--markdown"}, &out, &errs), errs.String())
	kept, err := os.ReadFile(filepath.Join(root, "ops/docs/configuration.md"))
	require.NoError(t, err)
	require.Equal(t, out.String(), string(kept), "run: bin/millrace config --markdown > ops/docs/configuration.md")
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
