package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

func TestATuneSaysThatALaterEngineBeganItAgain(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "one")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	require.Empty(t, into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), "")).Warnings)
	r.exec(`update tunes set restarted_from = '3', engine = '4', semantics = ''`)
	got := into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
	require.Len(t, got.Warnings, 1)
	require.Contains(t, got.Warnings[0], "A worker of engine 3 began this tune, and one of engine 4 began it again")
	r.exec(`update tunes set restarted_from = null, left_by = '5'`)
	for _, c := range []struct{ status, says string }{
		{"running", "workers of engine 5 leave it to those of engine 4 (MILLRACE_OLDER_ENGINE=wait): it waits"},
		{"completed", "workers of engine 5 left it to those of engine 4"},
	} {
		r.exec(`update tunes set status = '` + c.status + `'`)
		got = into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		require.Len(t, got.Warnings, 1)
		require.Contains(t, got.Warnings[0], c.says)
		page := r.do(http.MethodGet, "/admin/tunes/"+got.TuneID+"?workspace_id="+r.alpha.ID.String(), "", "Authorization", "", "X-Admin-Token", adminToken)
		require.Contains(t, string(page.body), c.says)
	}
}
