package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/tearsheet"
)

func TestEveryResultHasATearSheet(t *testing.T) {
	r := newFixture(t).withSample()
	tune := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "t").header.Get("Location")
	walk := r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "w").header.Get("Location")
	run := r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"sma_cross","params":{"fast":10,"slow":50}}`, "X-Idempotency-Key", "r")
	require.Equal(t, http.StatusCreated, run.status, string(run.body))
	for _, path := range []string{tune, walk} {
		early := r.do(http.MethodGet, path+"/tearsheet", "")
		require.Equal(t, http.StatusConflict, early.status, "it has not ended")
		require.Contains(t, string(early.body), "A tear sheet is made of a result")
	}
	r.startWorker()
	for path, want := range map[string][]string{
		tune: {"Tune", "Verdict", "in sample", "out of sample", "Costs</h2>", "Returns by month", "grid by sharpe"},
		walk: {"Walk-forward", "Verdict", "Returns by month", "Folds"},
		"/backtests/runs/" + into[struct {
			ID string `json:"run_id"`
		}](t, run).ID: {"Run", "fast 10, slow 50", "Returns by month", "Deepest drawdowns"},
	} {
		var page answer
		require.Eventually(t, func() bool {
			page = r.do(http.MethodGet, path+"/tearsheet", "")
			return page.status == http.StatusOK
		}, 60*time.Second, 50*time.Millisecond, path)
		require.Equal(t, tearsheet.Policy(), page.header.Get("Content-Security-Policy"))
		require.Contains(t, page.header.Get("Content-Type"), "text/html")
		for _, text := range want {
			require.Contains(t, string(page.body), text, path)
		}
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path+"/tearsheet", "", "Authorization", "Bearer "+r.other).status)
	}
}

// Of a tune whose limits exclude every trial, the sheet says which limit excludes how many, and what would admit some.
func TestTheTearSheetOfATuneWithoutSurvivorsSaysWhy(t *testing.T) {
	r := newFixture(t).withSample()
	body := `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,"gates":{"min_trades":100000},"param_space":{"fast":[5,10],"slow":[50,100]}}`
	tune := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "none").header.Get("Location")
	r.startWorker()
	var page answer
	require.Eventually(t, func() bool {
		page = r.do(http.MethodGet, tune+"/tearsheet", "")
		return page.status == http.StatusOK
	}, 60*time.Second, 50*time.Millisecond)
	text := string(page.body)
	require.Contains(t, text, "No trial met the limits")
	require.Contains(t, text, `<td class="num">4</td><td>fewer trades out of sample than the gate of 100000</td>`)
	require.Regexp(t, `The nearest trials pass with at least \d+ trades\.`, text)
	require.Contains(t, text, "no trial is left, for the reasons above")
}
