package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
)

// candles is a dataset of so many synthetic bars as a file.
func candles(t *testing.T, seed uint64, n int) []byte {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: seed, Bars: n})
	require.NoError(t, err)
	var file strings.Builder
	file.WriteString("time,open,high,low,close,volume\n")
	for i, at := range bars.Time {
		fmt.Fprintf(&file, "%s,%v,%v,%v,%v,%v\n", time.UnixMicro(at).UTC().Format(time.RFC3339), bars.Open[i], bars.High[i], bars.Low[i], bars.Close[i], bars.Volume[i])
	}
	return []byte(file.String())
}

const severalTune = `{"datasets":["sp500","walk"],"aggregate":"worst","strategy_name":"sma_cross","oos_ratio":0.3,
	"param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[50,100,200]},"gates":{"max_drawdown_pct":100,"min_trades":0},"account":{"commission":"futures"}}`

func TestATuneRunsOverSeveralDatasets(t *testing.T) {
	r := newFixture(t).withSample()
	require.Equal(t, http.StatusCreated, r.upload(r.key, "walk", candles(t, 1, 1500)).status)
	r.startWorker()
	submitted := r.do(http.MethodPost, "/backtests/tune", severalTune, "X-Idempotency-Key", "several")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	type entry struct {
		Score    float64
		ScoreIS  float64 `json:"score_is"`
		Datasets []struct {
			Dataset   string
			ScoreIS   float64            `json:"score_is"`
			MetricsIS struct{ Bars int } `json:"metrics_is"`
		}
	}
	type view struct {
		Status      string
		Dataset     string
		Datasets    []string
		Leaderboard []entry
		Spec        struct {
			Aggregate string
			Account   struct{ Commission float64 }
			Datasets  []string
		}
	}
	var got view
	require.Eventually(t, func() bool {
		got = into[view](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		return got.Status == "completed"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "sp500", got.Dataset)
	require.Equal(t, []string{"sp500", "walk"}, got.Datasets)
	require.Equal(t, got.Datasets, got.Spec.Datasets)
	require.InDelta(t, 0.00002, got.Spec.Account.Commission, 1e-15)
	require.NotEmpty(t, got.Leaderboard)
	for _, e := range got.Leaderboard {
		require.Len(t, e.Datasets, 2)
		require.Equal(t, "walk", e.Datasets[1].Dataset)
		require.Equal(t, 1050, e.Datasets[1].MetricsIS.Bars, "its own bars")
		require.Equal(t, min(e.Datasets[0].ScoreIS, e.Datasets[1].ScoreIS), e.ScoreIS)
	}

	// The leaderboard of the workspace finds it under each of its datasets.
	for dataset, want := range map[string]int{"sp500": len(got.Leaderboard), "walk": len(got.Leaderboard)} {
		board := into[struct{ Items []view }](t, r.do(http.MethodGet, "/backtests/leaderboard?limit=1000&dataset="+dataset, ""))
		require.GreaterOrEqual(t, len(board.Items), want, dataset)
		require.Equal(t, []string{"sp500", "walk"}, board.Items[0].Datasets)
	}
	csv := r.do(http.MethodGet, "/backtests/leaderboard?format=csv&limit=1", "")
	require.Contains(t, string(csv.body), `"sp500, walk"`)
	page := r.do(http.MethodGet, "/admin"+strings.TrimPrefix(submitted.header.Get("Location"), "/backtests")+"?workspace_id="+r.alpha.ID.String(), "",
		"Authorization", "", "X-Admin-Token", adminToken)
	require.Equal(t, http.StatusOK, page.status, string(page.body))
	for _, words := range []string{"sma_cross · sp500, walk", "the worst of their figures counts", "Equity of the best trial on sp500"} {
		require.Contains(t, string(page.body), words)
	}
	require.Equal(t, 1, r.count(`select count(*) from tune_datasets td join datasets d on d.id = td.dataset_id where d.name = 'walk' and td.position = 1`))
}

// A strategy that never trades leaves the objective undefined for every trial: the tune completes and
// says so.
func TestATuneWithoutATradeCompletesWithReasons(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	submitted := r.do(http.MethodPost, "/backtests/tune", `{"dataset":"sp500","strategy_name":"orb","param_space":{"bars":[2,4,8]}}`, "X-Idempotency-Key", "idle")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	type view struct {
		Status      string
		Error       *string
		Counts      map[string]int
		Leaderboard []any
		Warnings    []string
		Reasons     map[string]int
		BestTrial   *int `json:"best_trial"`
		Overfit     struct{ Undefined map[string]string }
	}
	var got view
	require.Eventually(t, func() bool {
		got = into[view](t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		return got.Status != "queued" && got.Status != "running"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "completed", got.Status, "%v", got.Error)
	require.Equal(t, map[string]int{"objective sharpe is undefined on all bars: no trade was made": 3}, got.Reasons)
	require.Equal(t, 3, got.Counts["skipped"])
	require.Empty(t, got.Leaderboard)
	require.Nil(t, got.BestTrial)
	require.NotEmpty(t, got.Overfit.Undefined["dsr"])
	require.Contains(t, strings.Join(got.Warnings, ";"), "no trial passed its gates")
}

func TestDatasetsOfATuneAreHeldAgainstItsRules(t *testing.T) {
	r := newFixture(t).withSample()
	require.Equal(t, http.StatusCreated, r.upload(r.key, "walk", candles(t, 1, 400)).status)
	short := r.upload(r.key, "short", candles(t, 2, 250))
	require.Equal(t, http.StatusCreated, short.status)
	require.Equal(t, http.StatusCreated, r.upload(r.other, "theirs", candles(t, 3, 400)).status)
	hourly := "time,open,high,low,close\n"
	for i := range 400 {
		hourly += fmt.Sprintf("%s,1,2,0.5,1\n", time.Unix(int64(i)*3600, 0).UTC().Format(time.RFC3339))
	}
	require.Equal(t, http.StatusCreated, r.uploadAs(r.key, "1h", "hourly", []byte(hourly)).status)
	many := `"walk"` + strings.Repeat(`,"walk"`, 50)
	for name, test := range map[string]struct {
		datasets string
		status   int
		field    string
		message  string
	}{
		"too many":       {many, 422, "datasets", "2 to 50"},
		"one":            {`"walk"`, 422, "datasets", "2 to 50"},
		"the same twice": {`"walk","walk"`, 422, "datasets[1]", "named twice"},
		"the same by name and id": {fmt.Sprintf(`"short","walk",%q`, into[struct {
			ID string `json:"dataset_id"`
		}](t, short).ID), 422, "datasets[2]", "short is named twice"},
		"another workspace's":    {`"walk","theirs"`, 404, "datasets[1]", "not the id or name"},
		"too short a one":        {`"walk","short"`, 422, "datasets[1]", "short: oos_ratio leaves 175 of 250 bars"},
		"bars of another length": {`"walk","hourly"`, 422, "datasets[1]", "bars of another length than walk"},
		"beside dataset":         {`"walk","sp500"],"dataset":"sp500","constraints":[`, 422, "dataset", "does not go with datasets"},
		"no aggregate of ours":   {`"walk","sp500"],"aggregate":"sum","constraints":[`, 422, "aggregate", "unknown"},
		"an empty name":          {`"walk",""`, 404, "datasets[1]", "not the id or name"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(severalTune, `"sp500","walk"],"aggregate":"worst"`, test.datasets+"]", 1)
			a := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "bad")
			require.Equal(t, test.status, a.status, string(a.body))
			p := into[struct {
				Errors []struct{ Field, Message string }
			}](t, a)
			require.Equal(t, test.field, p.Errors[0].Field, string(a.body))
			require.Contains(t, p.Errors[0].Message, test.message)
		})
	}
	require.Zero(t, r.count(`select count(*) from tunes`))
	require.Zero(t, r.count(`select count(*) from tune_datasets`))
	require.Zero(t, r.count(`select count(*) from river_job`))
	require.Zero(t, r.count(`select count(*) from idempotency_keys`))
}
