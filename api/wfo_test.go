package api_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const smallWFO = `{"dataset":"sp500","strategy_name":"sma_cross","oos_ratio":0.3,
	"param_space":{"fast":{"low":5,"high":20,"step":5},"slow":[50,100,200]},"gates":{"max_drawdown_pct":90,"min_trades":1},
	"wfo_config":{"train_days":1460,"test_days":730}}`

type wfoBody struct {
	ID         string   `json:"wfo_id"`
	Status     string   `json:"status"`
	NFolds     int      `json:"n_folds"`
	Trials     int      `json:"n_trials"`
	Done       int      `json:"trials_completed"`
	Candidates []wfoRow `json:"candidates"`
	NEligible  *int     `json:"n_eligible"`
	Folds      []struct {
		Fold     int                `json:"fold"`
		Status   string             `json:"status"`
		TuneID   string             `json:"tune_id"`
		Params   map[string]float64 `json:"params"`
		ScoreOOS *float64           `json:"score_oos"`
		TestEnd  time.Time          `json:"test_end"`
	} `json:"folds"`
	OOS      map[string]any `json:"oos"`
	Evidence *struct {
		Verdict string           `json:"verdict"`
		Checks  []map[string]any `json:"checks"`
		Starts  []any            `json:"starts"`
	} `json:"evidence"`
	Equity   []any    `json:"oos_equity"`
	Warnings []string `json:"warnings"`
	Error    *string  `json:"error"`
}

type wfoRow struct {
	Rank       int        `json:"rank"`
	Coverage   float64    `json:"coverage"`
	FoldScores []*float64 `json:"fold_scores"`
}

func (r *fixture) endedWFO(location string) wfoBody {
	r.t.Helper()
	var view wfoBody
	require.Eventually(r.t, func() bool {
		view = into[wfoBody](r.t, r.do(http.MethodGet, location+"?candidates=1000", ""))
		return view.Status != "pending" && view.Status != "running"
	}, 30*time.Second, 20*time.Millisecond, "%+v", &view)
	return view
}

func TestAWalkForwardFromSubmissionToCurve(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "w")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	again := r.do(http.MethodPost, "/backtests/wfo", smallWFO, "X-Idempotency-Key", "w")
	require.Equal(t, submitted.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	location := submitted.header.Get("Location")
	before := into[wfoBody](t, submitted)
	require.Equal(t, "pending", before.Status)
	require.Equal(t, 8, before.NFolds)

	r.startWorker()
	view := r.endedWFO(location)
	require.Equal(t, "completed", view.Status, "%v", view.Error)
	require.Equal(t, 8*12, view.Trials)
	require.Equal(t, 8*12, view.Done)
	require.Contains(t, strings.Join(view.Warnings, ";"), "oos_ratio is not used")
	require.NotNil(t, view.NEligible)
	require.NotEmpty(t, view.Candidates)
	for _, c := range view.Candidates {
		require.Len(t, c.FoldScores, 8)
	}
	require.Len(t, view.Equity, 500)

	// Each fold is a tune of its own: what it chose and how that did is what the walk-forward says.
	for _, fold := range view.Folds {
		require.Equal(t, "completed", fold.Status)
		child := into[struct {
			Best   map[string]float64 `json:"best_params"`
			WFO    string             `json:"wfo_id"`
			Leader []struct {
				OOS *float64 `json:"score_oos"`
			} `json:"leaderboard"`
			Gates map[string]any `json:"gates"`
		}](t, r.do(http.MethodGet, "/backtests/tunes/"+fold.TuneID, ""))
		require.Equal(t, fold.Params, child.Best)
		require.Equal(t, view.ID, child.WFO)
		require.Equal(t, fold.ScoreOOS, child.Leader[0].OOS)
		require.Equal(t, "is", child.Gates["evaluated_on"])
	}
	folds := into[struct{ Items []any }](t, r.do(http.MethodGet, "/backtests/tunes?wfo_id="+view.ID, ""))
	require.Len(t, folds.Items, 8)
	require.Empty(t, into[struct{ Items []any }](t, r.do(http.MethodGet, "/backtests/tunes", "")).Items, "folds are no tunes of their own")
	require.Empty(t, into[struct{ Items []any }](t, r.do(http.MethodGet, "/backtests/leaderboard", "")).Items)

	rows, err := csv.NewReader(strings.NewReader(string(r.do(http.MethodGet, location+"/candidates?format=csv&limit=3", "").body))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "rank,fast,slow,eligible", strings.Join(rows[0][:4], ","))
	require.Len(t, rows[0], 10+8)
	curve, err := csv.NewReader(strings.NewReader(string(r.do(http.MethodGet, location+"/equity?format=csv", "").body))).ReadAll()
	require.NoError(t, err)
	require.EqualValues(t, view.OOS["bars"], len(curve)-1)
	require.NotEmpty(t, view.Evidence.Verdict)
	require.Equal(t, "spa", view.Evidence.Checks[0]["name"])
	require.Len(t, view.Evidence.Starts, 6)

	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, location, "", "Authorization", "Bearer "+r.other).status)
	require.Equal(t, http.StatusConflict, r.do(http.MethodPost, location+"/cancel", "").status)

	// The stream reports it in order, and progress never runs backwards.
	type listed struct {
		Items []struct {
			Type    string `json:"type"`
			Payload struct {
				Done int `json:"trials_completed"`
			} `json:"payload"`
		} `json:"items"`
	}
	var events listed
	require.Eventually(t, func() bool { // the log shows what no open transaction of the cluster can come before
		events = into[listed](t, r.do(http.MethodGet, "/events?topics=wfo&limit=1000", ""))
		n := len(events.Items)
		return n > 0 && events.Items[n-1].Type == "wfo.run.completed"
	}, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, "wfo.run.pending", events.Items[0].Type)
	require.Equal(t, "wfo.run.running", events.Items[1].Type)
	done, folded := 0, 0
	for _, e := range events.Items {
		if strings.HasPrefix(e.Type, "wfo.run.") {
			require.GreaterOrEqual(t, e.Payload.Done, done, e.Type)
			done = e.Payload.Done
		}
		if e.Type == "wfo.fold.completed" {
			folded++
		}
	}
	require.Equal(t, 8, folded)
}

func TestBadWalkForwardsAreNamedAndStoreNothing(t *testing.T) {
	r := newFixture(t).withSample()
	edit := func(old, new string) string {
		changed := strings.Replace(smallWFO, old, new, 1)
		require.NotEqual(t, smallWFO, changed)
		return changed
	}
	for _, test := range []struct {
		body   string
		status int
		field  string
	}{
		{edit(`"train_days":1460`, `"train_days":7000`), 422, "wfo_config.train_days"},
		{edit(`"train_days":1460,`, ``), 422, "wfo_config.train_days"},
		{edit(`"test_days":730`, `"test_days":0`), 422, "wfo_config.test_days"},
		{edit(`"test_days":730`, `"test_days":7,"step_days":90`), 422, "wfo_config.test_days"},
		{edit(`"train_days":1460`, `"train_days":30`), 422, "wfo_config.train_days"},
		{edit(`"test_days":730`, `"test_days":730,"step_days":1`), 422, "wfo_config.step_days"},
		{edit(`"test_days":730`, `"test_days":730,"min_folds":99`), 422, "wfo_config.train_days"},
		{edit(`"test_days":730`, `"test_days":730,"typo":1`), 400, "wfo_config.typo"},
		{edit(`"oos_ratio":0.3`, `"oos_ratio":0.3,"select_on":"oos"`), 422, "select_on"},
		{edit(`"dataset":"sp500"`, `"dataset":"nope"`), 404, "dataset"},
		{edit(`"gates"`, `"constraints":["fast > slow"],"gates"`), 422, "constraints"},
	} {
		a := r.do(http.MethodPost, "/backtests/wfo", test.body, "X-Idempotency-Key", "bad")
		require.Equal(t, test.status, a.status, string(a.body))
		var p struct {
			Errors []struct{ Field, Message string }
		}
		require.NoError(t, json.Unmarshal(a.body, &p))
		require.NotEmpty(t, p.Errors, string(a.body))
		require.Equal(t, test.field, p.Errors[0].Field, string(a.body))
	}
	require.Zero(t, r.count(`select count(*) from wfo_runs`))
	require.Zero(t, r.count(`select count(*) from river_job where kind like 'wfo%' or kind like 'tune%'`))
	require.Zero(t, r.count(`select count(*) from idempotency_keys`))
}

// A fold's tune may learn from its own trials, round by round, or prune them.
func TestWalkForwardsOfEverySearch(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	for name, change := range map[string]string{
		"tpe":    `"search_type":"tpe","n_trials":40,"tpe":{"startup":10,"batch":10},`,
		"pruned": `"search_type":"random","n_trials":12,"pruning":{"type":"halving","eta":2},`,
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(smallWFO, `"oos_ratio":0.3,`, change, 1)
			body = strings.Replace(body, `{"low":5,"high":20,"step":5}`, `{"low":2,"high":40}`, 1)
			submitted := r.do(http.MethodPost, "/backtests/wfo", body, "X-Idempotency-Key", name)
			require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
			view := r.endedWFO(submitted.header.Get("Location"))
			require.Equal(t, "completed", view.Status, "%v", view.Error)
			require.Equal(t, view.Trials, view.Done)
			require.NotEmpty(t, view.Candidates)
			for _, c := range view.Candidates {
				require.Len(t, c.FoldScores, view.NFolds)
				require.NotContains(t, c.FoldScores, (*float64)(nil))
			}
		})
	}
}
