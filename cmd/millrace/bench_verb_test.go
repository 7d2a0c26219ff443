package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchMeasuresTheWholeService(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/a-fleet") // never touched
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"bench", "--bars", "1000", "--trials", "100", "--submissions", "10"}, &out, &errs)
	require.Zero(t, status, errs.String())
	for _, want := range []string{
		`sma_cross +\d+\.\d +\d+ +[1-9]`, `orb +\d+\.\d +\d+ +[1-9]`,
		`computed alone +[1-9]\d* trials/s`, `submission to result +[1-9]\d* trials/s`, `\d+/s, p50 \d+\.\d ms, p99 \d+\.\d ms`,
	} {
		require.Regexp(t, regexp.MustCompile(want), out.String())
	}
	require.Equal(t, 2, run(t.Context(), []string{"bench", "--trials", "0"}, &out, &errs), "a bad flag is an error of configuration")
}
