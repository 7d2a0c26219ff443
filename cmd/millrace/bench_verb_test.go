package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchMeasuresTheWholeService(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/a-fleet") // never touched
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"bench", "--rounds", "1", "--bars", "1000", "--trials", "100", "--submissions", "16", "--jobs", "1000"}, &out, &errs)
	require.Zero(t, status, errs.String())
	for _, want := range []string{
		`sma_cross +\d+\.\d+ `, `orb, side by side +\d+\.\d+ `, `sma_cross with stops +\d+\.\d+ `,
		`tune, computed alone +[1-9]`, `tune, submission to result +[1-9]`, `submissions, p99 +[1-9]`,
		`bare River +[1-9]`, `fleet with the event feed +[1-9]`, `fleet with the event feed / bare River +\d+\.\d+ `,
		`job of an idle fleet, insert to work, p99 +\d+\.\d+ `,
		`pgbench inserting the rows of a submission +[1-9]|pgbench was not found`, `pgbench inserting the rows of a submission, p99 +\d|pgbench was not found`,
		`walk-forward submissions +[1-9]`, `ingestion submissions, p99 +[1-9]`,
		`walk-forward submissions / pgbench +\d|pgbench was not found`, `ingestion submissions / pgbench +\d|pgbench was not found`,
		`processor time of a submission: Postgres +\d|pgbench was not found|processor time was not measured`,
	} {
		require.Regexp(t, regexp.MustCompile(want), out.String())
	}
	require.Equal(t, 2, run(t.Context(), []string{"bench", "--trials", "0"}, &out, &errs), "a bad flag is an error of configuration")
	require.Equal(t, 2, run(t.Context(), []string{"bench", "--against", "none.json"}, &out, &errs), "so is a file of limits that is not there")
}

func TestARatioBelowItsLeastIsNamed(t *testing.T) {
	t.Parallel()
	least, err := readLeast(filepath.Join("testdata", "ratios.json"))
	require.NoError(t, err)
	require.NotEmpty(t, least)
	var found figures
	for name, limit := range least {
		require.Less(t, limit.Least, limit.Was, name)
		for _, value := range []float64{0, limit.Least, 100} { // the median counts
			found.ratio(name, value)
		}
	}
	require.NoError(t, found.hold(least))
	slow := "submissions / pgbench"
	found.ratio(slow, 0)
	require.ErrorContains(t, found.hold(least), `ratio "`+slow+`" is `)
	least["another"] = leastRatio{Least: 0.5}
	require.ErrorContains(t, found.hold(least), `ratio "another" was not measured`)
}

func TestMediansAreOfTheMiddle(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2.0, (&measured{values: []float64{9, 1, 2}}).median())
	require.Equal(t, 1.5, (&measured{values: []float64{9, 1, 2, 0}}).median())
}
