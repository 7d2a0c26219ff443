package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A tune without a result ends with a status that a script notices, after saying what would give one.
func TestATuneWithoutSurvivorsExitsNonZeroAndNamesTheFlags(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/backtests/tunes/t1": `{"tune_id":"t1","status":"completed","strategy_name":"sma_cross","objective_type":"sharpe","n_trials":3,
			"counts":{"skipped":3},"leaderboard":[],"reasons":{"max drawdown out of sample is above the gate of 20 %":2,"fewer trades out of sample than the gate of 5":1},
			"spec":{"gates":{"max_drawdown_pct":20,"min_trades":5}}}`,
		"/backtests/tunes/t1/nearest": `{"too_deep":2,"too_few_trades":1,"relaxed":{"max_drawdown_pct":38,"min_trades":4},
			"trials":[{"trial_index":7,"params":{"fast":5,"slow":50},"score":0.5,"score_is":0.5,"score_oos":0.1,"max_drawdown_pct_oos":37.5,"trades_oos":4}]}`,
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events/stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(": hello\n\n"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(web.Close)
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"watch", "t1", "--url", web.URL, "--api-key", "mr_x"}, &out, &errs)
	require.Equal(t, 1, status, errs.String())
	require.NotEmpty(t, out.String(), errs.String())
	for _, want := range []string{
		"No trial met the limits: drawdown at most 20 %, at least 5 trades", "2 trials: max drawdown out of sample is above", "1 trial: fewer trades",
		"--max-drawdown 38 --min-trades 4", "37.50",
	} {
		require.Contains(t, out.String(), want)
	}
	require.Less(t, strings.Index(out.String(), "2 trials:"), strings.Index(out.String(), "1 trial:"), "the commonest reason is first")
	require.Contains(t, errs.String(), "no trial met the limits")

	status = run(t.Context(), []string{"watch", "t1", "--json", "--url", web.URL, "--api-key", "mr_x"}, &out, &errs)
	require.Equal(t, 1, status)
}
