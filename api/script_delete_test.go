package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// A script is deleted while a tune of it waits, another version of it while nothing names it.
func TestAScriptThatATuneNamesIsDeletedSoftly(t *testing.T) {
	r := newFixture(t).withSample()
	named := r.script(r.key, "means", meansScript)
	unnamed := r.script(r.key, "means", meansScript+"// another version\n")
	require.Equal(t, "pine:means@2", unnamed.Name)
	const request = `{"dataset":"sp500","strategy_name":"pine:means@1","param_space":{"Fast Length":[5,10],"Slow Length":[50,100]},
		"gates":{"max_drawdown_pct":90,"min_trades":1}}`
	submitted := r.do(http.MethodPost, "/backtests/tune", request, "X-Idempotency-Key", "waits")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	for _, script := range []types.Strategy{named, unnamed} {
		require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, "/strategies/"+script.StrategyID, "").status)
		require.Equal(t, http.StatusNotFound, r.do(http.MethodDelete, "/strategies/"+script.StrategyID, "").status, "it is deleted once")
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/strategies/"+script.StrategyID, "").status)
	}
	for _, listed := range into[types.List[types.Strategy]](t, r.do(http.MethodGet, "/strategies", "")).Items {
		require.NotContains(t, listed.Name, "pine:")
	}
	require.Equal(t, 1, r.count(`select count(*) from strategies`), "only the text that a tune names is kept")

	// The tune that waits runs to its end, and its submission is answered again as it was.
	r.startWorker()
	var tune types.Tune
	require.Eventually(t, func() bool {
		tune = into[types.Tune](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		return tune.Status.Ended()
	}, 60*time.Second, 50*time.Millisecond)
	require.Equal(t, types.TuneCompleted, tune.Status, "%v", tune.Error)
	require.Len(t, tune.Leaderboard, 4)
	require.Equal(t, named.SHA256, tune.Spec.Script.SHA256)
	replayed := r.do(http.MethodPost, "/backtests/tune", request, "X-Idempotency-Key", "waits")
	require.Equal(t, "true", replayed.header.Get("Idempotency-Replayed"))
	require.Equal(t, submitted.status, replayed.status)
	require.Equal(t, string(submitted.body), string(replayed.body))

	// Nothing new finds it, until the same text is sent again: that is the same version, and gives the same.
	refused := r.do(http.MethodPost, "/backtests/tune", request, "X-Idempotency-Key", "late")
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	require.Contains(t, string(refused.body), "is not a script of this workspace")
	require.Equal(t, named.StrategyID, r.script(r.key, "means", meansScript).StrategyID)
	require.Equal(t, tune.Leaderboard, r.endedTune("/backtests/tune", request, "back").Leaderboard)
}

// Schedules that cannot run without a script are named before it is deleted, and go with it when that is asked for.
func TestAScriptThatSchedulesUseIsNotDeletedWithoutThem(t *testing.T) {
	r := newFixture(t).withSample()
	first := r.script(r.key, "means", meansScript)
	second := r.script(r.key, "means", meansScript+"// another version\n")
	schedule := func(name, strategy string) string {
		t.Helper()
		param := "Fast Length"
		if strategy == "sma_cross" {
			param = "fast"
		}
		body := fmt.Sprintf(`{"name":%q,"kind":"tune","cron":"0 6 * * *","request":{"dataset":"sp500","strategy_name":%q,"param_space":{%q:[5,10]}}}`, name, strategy, param)
		resp := r.do(http.MethodPost, "/schedules", body, "X-Idempotency-Key", name)
		require.Equal(t, http.StatusCreated, resp.status, string(resp.body))
		return into[types.Schedule](t, resp).ScheduleID
	}
	pinned, newest := schedule("pinned", "pine:means@1"), schedule("the newest", "pine:means")
	schedule("another", "sma_cross")
	at := func(script types.Strategy, query string) string { return "/strategies/" + script.StrategyID + query }

	dry := into[types.Deletion](t, r.do(http.MethodDelete, at(first, "?dry_run=true"), ""))
	require.Equal(t, map[string]int{"strategy": 1, "schedule": 1}, dry.Deletes)
	require.Equal(t, []types.Dependant{{Kind: "schedule", ID: pinned, Name: "pinned"}}, dry.Dependants, "the newest version is left for the other")
	refused := r.do(http.MethodDelete, at(first, ""), "")
	require.Equal(t, http.StatusConflict, refused.status)
	require.Contains(t, string(refused.body), pinned)
	require.Contains(t, string(refused.body), "cascade=true")
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, at(first, ""), "").status, "what is refused is deleted")

	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, at(first, "?cascade=true"), "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/schedules/"+pinned, "").status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/schedules/"+newest, "").status)

	dry = into[types.Deletion](t, r.do(http.MethodDelete, at(second, "?dry_run=true"), ""))
	require.Equal(t, []types.Dependant{{Kind: "schedule", ID: newest, Name: "the newest"}}, dry.Dependants, "no version is left")
	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, at(second, "?cascade=true"), "").status)
	left := into[types.List[types.Schedule]](t, r.do(http.MethodGet, "/schedules", "")).Items
	require.Len(t, left, 1)
	require.Equal(t, "another", left[0].Name)
}

// A schedule is found by its name wherever its id is taken.
func TestASchedulesNameIsAsGoodAsItsId(t *testing.T) {
	r := newFixture(t).withSample()
	const body = `{"name":"each day/50%","kind":"tune","cron":"0 6 * * *","request":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10]}}}`
	made := into[types.Schedule](t, r.do(http.MethodPost, "/schedules", body, "X-Idempotency-Key", "named"))
	named := "/schedules/" + url.PathEscape(made.Name)
	require.Equal(t, made.ScheduleID, into[types.Schedule](t, r.do(http.MethodGet, named, "")).ScheduleID)
	require.True(t, into[types.Schedule](t, r.do(http.MethodPatch, named, `{"paused":true}`)).Paused)
	slot := r.do(http.MethodPost, named+"/run", "", "X-Idempotency-Key", "now")
	require.Equal(t, http.StatusAccepted, slot.status, string(slot.body))
	require.Len(t, into[types.List[types.ScheduleSlot]](t, r.do(http.MethodGet, named+"/history", "")).Items, 1)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/schedules/each%20day", "").status)
	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, named, "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, named, "").status)
}
