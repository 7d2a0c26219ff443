package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/ops"
	"millrace/store/pgtest"
	"millrace/store/tenants"
)

// market is a regime that tests ask about.
var market = sweep.RegimeVector{ATRNorm: 0.01, RSI: 55, BBWidth: 0.06, ER: 0.5, TrendStrength: 0.7, ZScore: 0.5}

const marketJSON = `{"atr_norm":0.01,"rsi":55,"bb_width":0.06,"er":0.5,"trend_strength":0.7,"zscore":0.5}`

// pastTune puts a completed tune with leaders into a workspace that has the dataset sp500.
func (l *library) pastTune(w tenants.Workspace, regime sweep.RegimeVector, leaders int, change func(i int, m *backtest.Metrics)) uuid.UUID {
	l.t.Helper()
	owner, id := l.db.OwnerPool(l.t), uuid.New()
	_, err := owner.Exec(l.t.Context(), `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, regime, outcome, completed_at)
		select $1, $2, d.id, 'sma_cross', 'sharpe', 'grid', '{}', 'completed', true, $3, $4, '{}', now()
		  from datasets d where d.workspace_id = $2 limit 1`, id, w.ID, leaders, sweep.RegimeOf(regime))
	require.NoError(l.t, err)
	for i := range leaders {
		m := backtest.Metrics{Sharpe: 1, ReturnPct: 12, Calmar: 1.2, MaxDrawdownPct: 10, Trades: 30}
		if change != nil {
			change(i, &m)
		}
		body, err := json.Marshal(sweep.Entry{
			Rank: i + 1, TrialIndex: i, Params: map[string]float64{"fast": float64(10 + i), "slow": 100}, Score: m.Sharpe,
			MetricsIS: backtest.Metrics{Sharpe: m.Sharpe + 0.2}, MetricsOOS: &m,
		})
		require.NoError(l.t, err)
		_, err = owner.Exec(l.t.Context(), `
			insert into tune_leaderboard (tune_id, workspace_id, dataset_id, strategy, objective, rank, trial_index, score, entry)
			select $1, $2, dataset_id, 'sma_cross', 'sharpe', $3, $4, $5, $6 from tunes where id = $1`,
			id, w.ID, i+1, i, m.Sharpe, string(body))
		require.NoError(l.t, err)
	}
	return id
}

type recommendAnswer struct {
	RunID       uuid.UUID `json:"run_id"`
	Status      string
	Confidence  float64
	Params      map[string]float64
	Ranges      map[string]struct{ Low, Median, High float64 }
	Candidates  []struct{ Similarity float64 }
	Counts      struct{ Considered, Admitted int }
	Relaxed     []string
	ReasonCodes []string `json:"reason_codes"`
	Suggestions []struct {
		Axis     string
		From, To *float64
		Admits   int
	}
	Evidence []struct{ Text string }
	Lacking  []string
	Timings  map[string]float64 `json:"timings_ms"`
}

func (l *library) recommend(body string) recommendAnswer {
	l.t.Helper()
	a := l.do(http.MethodPost, "/kb/recommend", body)
	require.Equal(l.t, http.StatusOK, a.status, string(a.body))
	return into[recommendAnswer](l.t, a)
}

const wantedJSON = `{"strategy_name":"sma_cross","regime":` + marketJSON + `}`

func TestARecommendationFollowsPastTrials(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	none := l.recommend(wantedJSON)
	require.Equal(t, "none", none.Status)
	require.Equal(t, []string{"NO_MATCHES"}, none.ReasonCodes)
	require.Nil(t, none.Params)
	require.Zero(t, none.Confidence)

	l.put(l.alpha, crossovers)
	l.pastTune(l.alpha, market, 4, nil)
	some := l.recommend(wantedJSON)
	require.Equal(t, "degraded", some.Status)
	require.Empty(t, some.ReasonCodes)
	require.NotEmpty(t, some.Params)

	near := market
	near.RSI += 5
	l.pastTune(l.alpha, near, 12, nil) // ten of each tune count
	plenty := l.recommend(`{"strategy_name":"sma_cross","regime":` + marketJSON + `,"question":"crossover whipsawed"}`)
	require.Equal(t, "ok", plenty.Status)
	require.Equal(t, 14, plenty.Counts.Admitted)
	require.Equal(t, 100.0, plenty.Params["slow"])
	require.InDelta(t, 0.75, plenty.Confidence, 0.05)
	require.Equal(t, 1.0, plenty.Candidates[0].Similarity)
	require.Contains(t, plenty.Evidence[0].Text, "whipsawed")
	for _, part := range []string{"regime", "embed", "qdrant", "rerank", "aggregate", "total"} {
		require.Contains(t, plenty.Timings, part)
	}
	require.GreaterOrEqual(t, plenty.Timings["total"], plenty.Timings["aggregate"])
	m := l.metrics.Knowledge
	require.EqualValues(t, 1, testutil.ToFloat64(m.RecommendRequests.WithLabelValues("none", "none")))
	require.EqualValues(t, 1, testutil.ToFloat64(m.RecommendRequests.WithLabelValues("ok", "high")))

	// Another's trials are not mine, nor are those of another strategy or market.
	require.Equal(t, "none", into[recommendAnswer](t, l.do(http.MethodPost, "/kb/recommend", wantedJSON, "Authorization", "Bearer "+l.other)).Status)
	require.Equal(t, "none", l.recommend(`{"strategy_name":"ema_cross","regime":`+marketJSON+`}`).Status)
	far := l.recommend(`{"strategy_name":"sma_cross","regime":{"atr_norm":0.08,"rsi":20,"bb_width":0.6,"er":0.1,"trend_strength":-0.9,"zscore":-2}}`)
	require.Equal(t, "none", far.Status)
	require.Equal(t, "min_similarity", far.Suggestions[0].Axis)
}

func TestARecommendationNamesWhatToRelax(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	l.pastTune(l.alpha, market, 6, func(i int, m *backtest.Metrics) { m.MaxDrawdownPct = 22 + float64(i) })
	got := l.recommend(wantedJSON)
	require.Equal(t, "none", got.Status)
	require.Len(t, got.Suggestions, 1)
	require.Equal(t, "max_drawdown_pct", got.Suggestions[0].Axis)
	require.Equal(t, 20.0, *got.Suggestions[0].From)
	require.Equal(t, 24.0, *got.Suggestions[0].To)
	require.Equal(t, 3, got.Suggestions[0].Admits)
	got = l.recommend(`{"strategy_name":"sma_cross","regime":` + marketJSON + `,"floors":{"max_drawdown_pct":24}}`)
	require.Equal(t, "degraded", got.Status)
	require.Equal(t, 3, got.Counts.Admitted, "as it was suggested")

	// A dataset has a timeframe, and it is relaxed before nothing is recommended.
	got = l.recommend(`{"strategy_name":"sma_cross","dataset":"sp500","timeframe":"5m","floors":{"max_drawdown_pct":90,"min_similarity":0.01}}`)
	require.Equal(t, []string{"timeframe"}, got.Relaxed)
	require.Equal(t, "degraded", got.Status)
}

func TestBadRecommendationsAreNamed(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	for _, test := range []struct {
		body, field string
		status      int
	}{
		{`{"dataset":"sp500"}`, "strategy_name", 422},
		{`{"strategy_name":"magic","dataset":"sp500"}`, "strategy_name", 422},
		{`{"strategy_name":"sma_cross"}`, "dataset", 422},
		{`{"strategy_name":"sma_cross","dataset":"sp500","regime":` + marketJSON + `}`, "dataset", 422},
		{`{"strategy_name":"sma_cross","dataset":"nope"}`, "dataset", 404},
		{`{"strategy_name":"sma_cross","regime":{"atr_norm":-1}}`, "regime.atr_norm", 422},
		{`{"strategy_name":"sma_cross","regime":{"volume":1}}`, "regime.volume", 400},
		{`{"strategy_name":"sma_cross","dataset":"sp500","objective_type":"luck"}`, "objective_type", 422},
		{`{"strategy_name":"sma_cross","dataset":"sp500","floors":{"max_drawdown_pct":101}}`, "floors.max_drawdown_pct", 422},
		{`{"strategy_name":"sma_cross","dataset":"sp500","floors":{"min_similarity":2}}`, "floors.min_similarity", 422},
		{`{"strategy_name":"sma_cross","dataset":"sp500","floors":{"min_luck":2}}`, "floors.min_luck", 400},
		{`{"strategy_name":"sma_cross","dataset":"sp500","question":"?"}`, "question", 422},
	} {
		a := l.do(http.MethodPost, "/kb/recommend", test.body)
		require.Equal(t, test.status, a.status, "%s: %s", test.body, a.body)
		problem := into[struct{ Errors []struct{ Field string } }](t, a)
		require.Equal(t, test.field, problem.Errors[0].Field, string(a.body))
	}
	require.Zero(t, l.count(`select count(*) from match_runs`))
}

// lateTrials answer when it is too late.
type lateTrials struct{ knowledge.Trials }

func (lateTrials) Candidates(ctx context.Context, _ uuid.UUID, _, _ string, _ *sweep.Regime) ([]knowledge.Candidate, error) {
	return nil, fmt.Errorf("read past tunes: %w", context.DeadlineExceeded)
}

func TestARecommendationThatRunsOutOfTimeIsCounted(t *testing.T) {
	l := newLibrary(t, func(p *knowledge.Parts, _ *ops.Metrics) { p.Trials = lateTrials{} })
	a := l.do(http.MethodPost, "/kb/recommend", wantedJSON)
	require.Equal(t, http.StatusGatewayTimeout, a.status, string(a.body))
	require.EqualValues(t, 1, testutil.ToFloat64(l.metrics.Knowledge.RecommendTimeouts))
}

// A tune is run, explained, and recommends what it found.
func TestATuneIsExplainedAndRecommends(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	l.startWorker()
	submitted := l.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "one")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	path := submitted.header.Get("Location")
	require.Equal(t, http.StatusNotFound, l.do(http.MethodGet, path+"/explain", "").status)
	require.Eventually(t, func() bool {
		return into[struct{ Status string }](t, l.do(http.MethodGet, path, "")).Status == "completed"
	}, 20*time.Second, 20*time.Millisecond)

	l.put(l.alpha, pgtest.Document{Title: "SMA cross strategy", Texts: []string{"The sma cross strategy needs an uptrend."}})
	a := l.do(http.MethodPost, path+"/explain", "")
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	explained := into[struct {
		Text, Model, Provider string
		Degraded              bool
		ReasonCode            string `json:"reason_code"`
		Citations             []struct{ Title string }
	}](t, a)
	require.Contains(t, explained.Text, "12 trials of sma cross on sp500")
	require.Contains(t, explained.Text, "out of sample they are")
	require.Contains(t, explained.Text, "deflated Sharpe ratio")
	require.Equal(t, "llm_unconfigured", explained.ReasonCode)
	require.Equal(t, "SMA cross strategy", explained.Citations[0].Title)
	again := l.do(http.MethodGet, path+"/explain", "")
	require.JSONEq(t, string(a.body), string(again.body))
	require.Equal(t, http.StatusNotFound, l.do(http.MethodGet, path+"/explain", "", "Authorization", "Bearer "+l.other).status)
	require.Equal(t, http.StatusNotFound, l.do(http.MethodPost, path+"/explain", "", "Authorization", "Bearer "+l.other).status)

	got := l.recommend(`{"strategy_name":"sma_cross","dataset":"sp500","floors":{"min_oos_sharpe":-100,"min_return_pct":-100,` +
		`"min_calmar":-1000,"max_drawdown_pct":100,"min_trades":0,"max_overfit_gap":100,"min_similarity":0}}`)
	require.Positive(t, got.Counts.Considered)
	require.Equal(t, got.Counts.Considered, got.Counts.Admitted)
	require.Contains(t, got.Params, "fast")
}
