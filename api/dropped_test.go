package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
)

// Retention takes the trials of an old tune. Its answers, its page and its export go without them, reads of them say
// how to have them again, and the export is reproduced all the same.
func TestATuneWhoseTrialsWereDroppedIsReadAndReproduced(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	at := "/backtests/tunes/" + r.tuned("old", smallTune)
	before := into[types.Tune](t, r.do(http.MethodGet, at, ""))
	require.Nil(t, before.TrialsDroppedAt)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, at+"/trials", "").status)
	r.exec(`update tunes set completed_at = completed_at - interval '200 days'`)
	require.EqualValues(t, r.count(`select count(*) from tune_shards`), r.prune("tune-trials", "p", `{"dry_run":false,"days":180}`).DeletedCount)
	require.Zero(t, r.count(`select count(*) from tune_shards`))

	for _, path := range []string{"/trials", "/trials?sort=score", "/trials?format=csv", "/trials?format=parquet", "/trials?limit=5&cursor=", "/nearest"} {
		a := r.do(http.MethodGet, at+path, "")
		require.Equal(t, http.StatusGone, a.status, "%s: %s", path, a.body)
		problem := into[types.ProblemError](t, a)
		require.Contains(t, problem.Detail, "were dropped on ", path)
		require.Contains(t, problem.Detail, "millrace reproduce "+before.TuneID, path)
	}
	after := into[types.Tune](t, r.do(http.MethodGet, at, ""))
	require.NotNil(t, after.TrialsDroppedAt)
	require.Contains(t, strings.Join(after.Warnings, "\n"), "were dropped on ")
	require.Equal(t, before.Counts, after.Counts)
	require.Equal(t, before.BestScore, after.BestScore)
	require.Equal(t, len(before.Leaderboard), len(after.Leaderboard))
	page := r.do(http.MethodGet, "/admin/tunes/"+before.TuneID+"?workspace_id="+r.alpha.ID.String(), "", "Authorization", "", "X-Admin-Token", adminToken)
	require.Equal(t, http.StatusOK, page.status, string(page.body))
	require.Contains(t, string(page.body), "were dropped on ")
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, at+"/manifest", "").status)

	export := r.do(http.MethodGet, at+"/export", "")
	require.Equal(t, http.StatusOK, export.status, string(export.body))
	bundle, err := manifest.ReadBundle(bytes.NewReader(export.body), int64(len(export.body)))
	require.NoError(t, err)
	require.NotContains(t, bundle.Parts, "trials")
	require.NoError(t, bundle.Check())
	report, err := bundle.Reproduce(t.Context(), backtest.Stamp{Engine: backtest.Engine}, func(*sweep.Spec) error { return nil }, 2)
	require.NoError(t, err)
	require.True(t, report.Same, "%v", report.Differs)
	// A leaderboard that was changed is found, with and without trials.
	bundle.Parts["leaderboard"] = []byte(`[]`)
	require.Error(t, bundle.Check())
	delete(bundle.Parts, "leaderboard")
	require.Error(t, bundle.Check(), "only what is dropped may be missing")
}
