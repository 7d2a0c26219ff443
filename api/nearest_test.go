package api_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// A tune whose limits no trial meets says what excluded how many and what admits the nearest; the same
// tune with the relaxed limits has a leaderboard.
func TestATuneWithoutSurvivorsNamesTheLimitsThatAdmitTheNearest(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	tune := func(gates, key string) types.Tune {
		a := r.do(http.MethodPost, "/backtests/tune", `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,
			"param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[50,100]}`+gates+`}`, "X-Idempotency-Key", key)
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		at := a.header.Get("Location")
		var got types.Tune
		require.Eventually(t, func() bool {
			got = into[types.Tune](t, r.do(http.MethodGet, at, ""))
			return got.Status.Ended()
		}, 20*time.Second, 20*time.Millisecond)
		require.Equal(t, types.TuneCompleted, got.Status)
		return got
	}
	strict := tune(`,"gates":{"max_drawdown_pct":1,"min_trades":1}`, "strict")
	require.Nil(t, strict.BestTrial)
	at := "/backtests/tunes/" + strict.TuneID + "/nearest"
	near := into[types.NearMiss](t, r.do(http.MethodGet, at+"?limit=3", ""))
	require.Equal(t, 8, near.TooDeep)
	require.Len(t, near.Trials, 3)
	require.NotNil(t, near.Relaxed.MaxDrawdownPct)
	require.Nil(t, near.Relaxed.MinTrades)
	relaxed := tune(`,"gates":{"max_drawdown_pct":`+strconv.FormatFloat(*near.Relaxed.MaxDrawdownPct, 'f', -1, 64)+`,"min_trades":1}`, "relaxed")
	require.GreaterOrEqual(t, len(relaxed.Leaderboard), 3)

	// Without a limit named there is none on the drawdown.
	plain := tune("", "plain")
	require.InDelta(t, 100, *plain.Spec.Gates.MaxDrawdownPct, 0)
	require.Equal(t, 5, *plain.Spec.Gates.MinTrades)
	require.NotNil(t, plain.BestTrial)

	require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, at+"?limit=0", "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, at, "", "Authorization", "Bearer "+r.other).status)
}
