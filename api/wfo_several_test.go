package api_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
)

// part is a dataset of so many synthetic bars from the n-th on.
func part(t *testing.T, seed uint64, n, from int) []byte {
	lines := bytes.SplitAfter(candles(t, seed, n), []byte("\n"))
	return bytes.Join(append(lines[:1:1], lines[1+from:]...), nil)
}

const severalWFO = `{"datasets":["first","second"],"strategy_name":"sma_cross",
	"param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[30,60]},"gates":{"max_drawdown_pct":100,"min_trades":0},
	"wfo_config":{"train_days":400,"test_days":150}}`

// One dataset begins 200 days after the other: folds lie in what both have, and each dataset has figures of its own.
func TestAWalkForwardRunsOverSeveralDatasets(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "first", candles(t, 1, 1400)).status)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "second", part(t, 2, 1500, 200)).status)
	r.startWorker()
	submitted := r.do(http.MethodPost, "/backtests/wfo", severalWFO, "X-Idempotency-Key", "several")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	location := submitted.header.Get("Location")
	require.Equal(t, "completed", r.endedWFO(location).Status)
	got := into[types.WFO](t, r.do(http.MethodGet, location, ""))
	require.Equal(t, "first", got.Dataset)
	require.Equal(t, []string{"first", "second"}, got.Datasets)
	require.Equal(t, 5, got.NFolds)
	require.Contains(t, strings.Join(got.Warnings, "\n"), "first has 200 of 1400 bars outside of 2000-07-19 to 2003-10-31")
	require.Len(t, got.ByDataset, 2)
	require.NotNil(t, got.Evidence.Value)
	require.NotEmpty(t, got.Evidence.Value.Verdict)
	trades := 0
	for i, d := range got.ByDataset {
		require.Equal(t, got.Datasets[i], d.Dataset)
		require.Equal(t, 750, d.OOS.Bars)
		require.Equal(t, 5, d.Chosen)
		trades += d.OOS.Trades
	}
	require.Equal(t, got.OOS.Trades, trades)
	for _, fold := range got.Folds {
		require.Len(t, fold.Datasets, 2)
		require.Equal(t, []int{400, 150}, []int{fold.Datasets[1].TrainBars, fold.Datasets[1].TestBars})
		mean := (*fold.Datasets[0].ScoreOOS + *fold.Datasets[1].ScoreOOS) / 2
		require.InDelta(t, mean, *fold.ScoreOOS, 1e-9)
		child := into[types.Tune](t, r.do(http.MethodGet, "/backtests/tunes/"+*fold.TuneID, ""))
		require.Equal(t, got.Datasets, child.Datasets)
	}

	whole := r.do(http.MethodGet, location+"/equity?format=csv", "")
	rows, err := csv.NewReader(bytes.NewReader(whole.body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+750, "together, a row a day")
	last, err := strconv.ParseFloat(rows[750][2], 64)
	require.NoError(t, err)
	require.InDelta(t, 10_000*(1+got.OOS.ReturnPct/100), last, 1e-6)
	second := into[types.List[types.Equity]](t, r.do(http.MethodGet, location+"/equity?dataset=second", ""))
	require.Len(t, second.Items, 750)
	require.InDelta(t, 10_000*(1+got.ByDataset[1].OOS.ReturnPct/100), second.Items[749].Equity, 1e-6)
	require.Equal(t, got.ByDataset[1].To, second.Items[749].Time)
	unknown := r.do(http.MethodGet, location+"/equity?dataset=third", "")
	require.Equal(t, http.StatusBadRequest, unknown.status)
	require.Contains(t, string(unknown.body), `is not a dataset of this walk-forward`)

	r.seenInTheConsole(got.WFOID, "sma_cross · first, second", "Each dataset by itself", "an equal part in each dataset", "equity.csv?dataset=second")
	sheet := r.do(http.MethodGet, location+"/tearsheet", "")
	require.Equal(t, http.StatusOK, sheet.status, string(sheet.body))
	for _, words := range []string{"sma_cross on first, second", "together"} {
		require.Contains(t, string(sheet.body), words)
	}

	// The export is reproduced in one process, byte for byte.
	exported := r.do(http.MethodGet, location+"/export", "").body
	bundle, err := manifest.ReadBundle(bytes.NewReader(exported), int64(len(exported)))
	require.NoError(t, err)
	require.Len(t, bundle.Manifest.Datasets, 2)
	report, err := bundle.Reproduce(t.Context(), backtest.Stamp{Engine: backtest.Engine}, func(*sweep.Spec) error { return nil }, 2)
	require.NoError(t, err)
	require.True(t, report.Same, "%v %s %v", report.Differs, report.First, report.Causes)

	// Each of the datasets counts it, and none can be deleted from under it.
	for _, name := range got.Datasets {
		versions := into[types.List[types.DatasetVersion]](t, r.do(http.MethodGet, "/datasets/"+name+"/versions", ""))
		require.Equal(t, 1, versions.Items[0].Results.WalkForwards, name)
		dry := into[types.Deletion](t, r.do(http.MethodDelete, "/datasets/"+name+"?dry_run=true", ""))
		require.Equal(t, 1, dry.Deletes["wfo"], name)
		require.Equal(t, http.StatusConflict, r.do(http.MethodDelete, "/datasets/"+name, "").status)
	}
}

// seenInTheConsole looks for words on the page of a walk-forward.
func (r *fixture) seenInTheConsole(id string, words ...string) {
	r.t.Helper()
	page := r.do(http.MethodGet, "/admin/wfo/"+id+"?workspace_id="+r.alpha.ID.String(), "", "Authorization", "", "X-Admin-Token", adminToken)
	require.Equal(r.t, http.StatusOK, page.status, string(page.body))
	for _, words := range words {
		require.Contains(r.t, string(page.body), words)
	}
}

func TestDatasetsOfAWalkForwardAreHeldAgainstItsRules(t *testing.T) {
	r := newFixture(t)
	for name, file := range map[string][]byte{"first": candles(t, 1, 1400), "second": candles(t, 2, 1400), "late": part(t, 3, 1400, 900), "apart": part(t, 4, 4000, 2000)} {
		require.Equal(t, http.StatusCreated, r.upload(r.key, name, file).status)
	}
	gone := into[types.Dataset](t, r.upload(r.key, "gone", candles(t, 5, 1400)))
	require.Less(t, r.do(http.MethodDelete, "/datasets/gone", "").status, 300)
	hourly := "time,open,high,low,close\n"
	for i := range 400 {
		hourly += fmt.Sprintf("%s,1,2,0.5,1\n", time.Unix(946684800+int64(i)*3600, 0).UTC().Format(time.RFC3339))
	}
	require.Equal(t, http.StatusCreated, r.uploadAs(r.key, "1h", "hourly", []byte(hourly)).status)
	for name, test := range map[string]struct {
		datasets string
		status   int
		field    string
		message  string
	}{
		"one as several":         {`"first"`, 422, "datasets", "2 to 50"},
		"the same twice":         {`"first","first"`, 422, "datasets[1]", "named twice"},
		"nothing in common":      {`"first","apart"`, 422, "datasets", "have no time in common: apart begins on 2005-06-23, first ends before 2003-11-01"},
		"too short for folds":    {`"first","late"`, 422, "wfo_config.train_days", "late begins last"},
		"bars of another length": {`"first","hourly"`, 422, "datasets[1]", "hourly has bars of another length than first"},
		"a deleted one":          {fmt.Sprintf(`"first",%q`, gone.DatasetID), 404, "datasets[1]", "not the id or name"},
		"beside dataset":         {`"first","second"],"dataset":"first","constraints":[`, 422, "dataset", "does not go with datasets"},
		"with bars inside bars":  {`"first","second"],"intrabar_dataset":"hourly","constraints":[`, 422, "intrabar_dataset", "goes with one dataset"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(severalWFO, `"first","second"]`, test.datasets+"]", 1)
			a := r.do(http.MethodPost, "/backtests/wfo", body, "X-Idempotency-Key", "bad")
			require.Equal(t, test.status, a.status, string(a.body))
			p := into[struct {
				Errors []struct{ Field, Message string }
			}](t, a)
			require.Equal(t, test.field, p.Errors[0].Field, string(a.body))
			require.Contains(t, p.Errors[0].Message, test.message)
		})
	}
	for _, table := range []string{"wfo_runs", "wfo_datasets", "tunes", "tune_datasets"} {
		require.Zero(t, r.count(`select count(*) from `+table), table)
	}
}
