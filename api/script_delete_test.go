package api_test

import (
	"net/http"
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
