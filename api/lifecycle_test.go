package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/tenants"
)

// What is deleted is gone from every route at once; before that, what depends on it is named.
func TestDeletingNamesWhatDependsAndHidesWhatGoes(t *testing.T) {
	r := newFixture(t).withSample()
	tune := into[types.Tune](t, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k"))
	dataset := into[types.List[types.Dataset]](t, r.do(http.MethodGet, "/datasets", "")).Items[0]

	dry := into[types.Deletion](t, r.do(http.MethodDelete, "/datasets/sp500?dry_run=true", ""))
	require.True(t, dry.DryRun)
	require.Equal(t, map[string]int{"dataset": 1, "tune": 1}, dry.Deletes)
	require.Equal(t, []types.Dependant{{Kind: "tune", ID: tune.TuneID, Name: "sma_cross", Status: "queued"}}, dry.Dependants)
	require.Equal(t, 1, dry.ActiveTotal)

	refused := r.do(http.MethodDelete, "/datasets/sp500", "")
	require.Equal(t, http.StatusConflict, refused.status)
	require.Contains(t, string(refused.body), tune.TuneID)
	require.Contains(t, string(refused.body), "cancel it first")
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets/sp500", "").status)

	member := r.newKey(r.alpha, tenants.RoleMember)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodDelete, "/datasets/sp500?cascade=true", "", "Authorization", "Bearer "+member).status)
	viewer := r.newKey(r.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodDelete, "/backtests/tunes/"+tune.TuneID, "", "Authorization", "Bearer "+viewer).status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodDelete, "/backtests/tunes/"+tune.TuneID+"?cascade=true", "", "Authorization", "Bearer "+r.other).status)
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodDelete, "/datasets/sp500?cascade=perhaps", "").status)

	admin := r.newKey(r.alpha, tenants.RoleAdmin)
	accepted := r.do(http.MethodDelete, "/datasets/"+dataset.DatasetID+"?cascade=true&versions=all", "", "Authorization", "Bearer "+admin)
	require.Equal(t, http.StatusAccepted, accepted.status, string(accepted.body))
	made := into[types.Deletion](t, accepted)
	require.Equal(t, types.DeletionStatus("queued"), made.Status)
	require.Equal(t, 2, made.Items)
	require.Equal(t, dataset.DatasetID, made.ID)
	require.Equal(t, made.DeletionID, into[types.Deletion](t, r.do(http.MethodGet, "/deletions/"+made.DeletionID, "")).DeletionID)
	require.Len(t, into[types.List[types.Deletion]](t, r.do(http.MethodGet, "/deletions", "")).Items, 1)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/deletions/"+made.DeletionID, "", "Authorization", "Bearer "+r.other).status)

	for path, id := range map[string]string{"/backtests/tunes/:id": tune.TuneID, "/datasets/:id": dataset.DatasetID} {
		for _, under := range []string{"", "/trials", "/leaderboard", "/nearest", "/explain", "/label", "/manifest", "/report", "/bars", "/versions"} {
			a := r.do(http.MethodGet, strings.ReplaceAll(path, ":id", id)+under, "")
			require.Equal(t, http.StatusNotFound, a.status, "GET %s%s of what is being deleted", path, under)
		}
	}
	require.Empty(t, into[types.List[types.Tune]](t, r.do(http.MethodGet, "/backtests/tunes", "")).Items)
	require.Empty(t, into[types.List[types.Dataset]](t, r.do(http.MethodGet, "/datasets", "")).Items)
	require.Empty(t, into[types.List[types.Label]](t, r.do(http.MethodGet, "/labels", "")).Items)
	again := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "another")
	require.Equal(t, http.StatusNotFound, again.status, "its dataset is gone")
	require.Equal(t, made.DeletionID, into[types.Deletion](t, r.do(http.MethodDelete, "/datasets/"+dataset.DatasetID, "")).DeletionID, "a repeat")

	entries := into[types.List[types.AuditEntry]](t, r.do(http.MethodGet, "/audit?limit=1", "", "Authorization", "Bearer "+admin)).Items
	require.Len(t, entries, 1)
	raw, err := json.Marshal(entries[0])
	require.NoError(t, err)
	require.Contains(t, string(raw), "DELETE /datasets/:id")
	require.Contains(t, string(raw), dataset.DatasetID)
}

// A filter changes what it finds only when the caller confirms how many these are.
func TestManyAreChangedByAFilterThatIsConfirmed(t *testing.T) {
	r := newFixture(t).withSample()
	for _, key := range []string{"a", "b", "c"} {
		require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", key).status)
	}
	dry := into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"cancel","dry_run":true}`))
	require.Equal(t, 3, dry.Matched)
	require.Len(t, dry.IDs, 3)
	other := r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"cancel","confirm":2}`)
	require.Equal(t, http.StatusConflict, other.status)
	require.Contains(t, string(other.body), "the filter finds 3")
	done := into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"cancel","confirm":3}`))
	require.Equal(t, 3, done.Changed)
	member := r.newKey(r.alpha, tenants.RoleMember)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"delete","confirm":3}`, "Authorization", "Bearer "+member).status)
	require.Equal(t, 3, into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"tag","tags":["x"],"confirm":3}`, "Authorization", "Bearer "+member)).Changed)
	gone := into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"delete","filter":{"tag":"x","status":"canceled"},"confirm":3}`))
	require.Len(t, gone.DeletionIDs, 1)
	require.Empty(t, into[types.List[types.Tune]](t, r.do(http.MethodGet, "/backtests/tunes", "")).Items)
	for body, field := range map[string]string{
		`{"kind":"key","action":"delete"}`: "kind", `{"kind":"run","action":"cancel"}`: "action", `{"kind":"tune","action":"tag"}`: "tags",
		`{"kind":"tune","action":"cancel"}`: "confirm", `{"kind":"tune","action":"cancel","filter":{"older_than":"soon"}}`: "filter.older_than",
		`{"kind":"tune","action":"cancel","filter":{"ids":["x"]}}`: "filter.ids[0]",
		// A filter that would be passed over, or that finds nothing because it is misspelt.
		`{"kind":"tune","action":"delete","filter":{"status":"compelted"},"dry_run":true}`: "filter.status",
		`{"kind":"wfo","action":"delete","filter":{"status":"queued"},"dry_run":true}`:     "filter.status",
		`{"kind":"run","action":"delete","filter":{"status":"completed"},"dry_run":true}`:  "filter.status",
	} {
		a := r.do(http.MethodPost, "/bulk", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, body)
		require.Equal(t, field, into[types.ProblemError](t, a).Errors[0].Field)
	}
}

func TestWhatIsArchivedIsListedWhereItIsAskedForOnly(t *testing.T) {
	r := newFixture(t).withSample()
	tune := into[types.Tune](t, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k"))
	counts := func() (shown, archived int) {
		for _, list := range []string{"/backtests/tunes", "/datasets"} {
			shown += len(into[types.List[any]](t, r.do(http.MethodGet, list, "")).Items)
			archived += len(into[types.List[any]](t, r.do(http.MethodGet, list+"?archived=true", "")).Items)
		}
		return shown, archived
	}
	for _, path := range []string{"/backtests/tunes/" + tune.TuneID, "/datasets/sp500"} {
		for range 2 {
			require.True(t, into[types.Archived](t, r.do(http.MethodPost, path+"/archive", "")).Archived)
		}
		require.Equal(t, http.StatusOK, r.do(http.MethodGet, path, "").status, "it is read by its id")
		require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, "/backtests/tunes/"+tune.TuneID+"/archive", "", "Authorization", "Bearer "+r.other).status)
	}
	shown, archived := counts()
	require.Equal(t, []int{0, 2}, []int{shown, archived})
	for _, path := range []string{"/backtests/tunes/" + tune.TuneID, "/datasets/sp500"} {
		require.False(t, into[types.Archived](t, r.do(http.MethodPost, path+"/restore", "")).Archived)
	}
	shown, archived = counts()
	require.Equal(t, []int{2, 0}, []int{shown, archived})
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/datasets?archived=2", "").status)
}

func TestWhatWasCancelledRunsAgain(t *testing.T) {
	r := newFixture(t).withSample()
	tune := into[types.Tune](t, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k"))
	path := "/backtests/tunes/" + tune.TuneID
	early := r.do(http.MethodPost, path+"/retry", "")
	require.Equal(t, http.StatusConflict, early.status)
	require.Contains(t, string(early.body), "The tune is queued. Only what failed or was cancelled can be retried")
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, path+"/cancel", "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, path+"/retry", "", "Authorization", "Bearer "+r.other).status)
	viewer := r.newKey(r.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodPost, path+"/retry", "", "Authorization", "Bearer "+viewer).status)
	first := r.do(http.MethodPost, path+"/retry", "", "X-Idempotency-Key", "again")
	require.Equal(t, http.StatusAccepted, first.status)
	require.Equal(t, path, first.header.Get("Location"))
	again := into[types.Tune](t, first)
	require.Equal(t, types.TuneQueued, again.Status)
	require.Equal(t, 1, again.Retries)
	require.Equal(t, tune.TuneID, again.TuneID)
	repeated := r.do(http.MethodPost, path+"/retry", "", "X-Idempotency-Key", "again")
	require.Equal(t, first.body, repeated.body)
	require.Equal(t, "true", repeated.header.Get("Idempotency-Replayed"))

	done := into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"cancel","confirm":1}`, "X-Idempotency-Key", "all"))
	require.Equal(t, 1, done.Changed)
	kept := r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"cancel","confirm":1}`, "X-Idempotency-Key", "all")
	require.Equal(t, "true", kept.header.Get("Idempotency-Replayed"), "a repeat has the answer of the first, although the filter finds none now")
	require.Equal(t, done, into[types.BulkResult](t, kept))
	require.Equal(t, 1, into[types.BulkResult](t, r.do(http.MethodPost, "/bulk", `{"kind":"tune","action":"retry","filter":{"status":"canceled"},"confirm":1}`)).Changed)
	require.Equal(t, 2, into[types.Tune](t, r.do(http.MethodGet, path, "")).Retries)
}
