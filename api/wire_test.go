package api

import (
	stdjson "encoding/json"
	"maps"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
)

// The wire types repeat the shapes of the pure domain, which they may not import. A member that only
// one side has, or of another type or name, shows here as two schemas that differ.
func TestWireTypesHaveTheShapesOfTheDomain(t *testing.T) {
	t.Parallel()
	closed := enums()
	maps.Copy(closed, map[reflect.Type][]string{
		reflect.TypeFor[sweep.Status]():            closed[reflect.TypeFor[types.TrialStatus]()],
		reflect.TypeFor[sweep.Search]():            closed[reflect.TypeFor[types.SearchType]()],
		reflect.TypeFor[sweep.Objective]():         closed[reflect.TypeFor[types.Objective]()],
		reflect.TypeFor[sweep.Aggregate]():         closed[reflect.TypeFor[types.Aggregate]()],
		reflect.TypeFor[backtest.CommissionName](): closed[reflect.TypeFor[types.CommissionName]()],
		reflect.TypeFor[backtest.Side]():           closed[reflect.TypeFor[types.Side]()],
		reflect.TypeFor[backtest.IntrabarPolicy](): closed[reflect.TypeFor[types.IntrabarPolicy]()],
	})
	names := schemaNames()
	maps.Copy(names, map[string]string{"metricsJSON": "Metrics", "WalkForward": "Wfo", "rangeObject": "RangeObject"})
	document := func(body, answer any) string {
		raw, err := openapi.Document(openapi.Info{Problem: types.ProblemError{}, Enums: closed, Names: names},
			[]openapi.Operation{{Method: "POST", Path: "/x", Status: 200, Body: body, Answer: answer}})
		require.NoError(t, err)
		return string(raw)
	}
	for _, answer := range []struct{ domain, wire any }{
		{sweep.Spec{}, types.Spec{}},
		{sweep.Trial{}, types.Trial{}},
		{sweep.Entry{}, types.Entry{}},
		{sweep.Gates{}, types.Gates{}},
		{sweep.Overfit{}, types.Overfit{}},
		{sweep.Rung{}, types.Rung{}},
		{sweep.Regime{}, types.Regime{}},
		{sweep.WFOConfig{}, types.WFOConfig{}},
		{sweep.Candidate{}, types.Candidate{}},
		{sweep.Stitched{}, types.Stitched{}},
		{backtest.Metrics{}, types.Metrics{}},
		{backtest.ParamSpec{}, types.ParamSpec{}},
		{knowledge.Position{}, types.Position{}},
	} {
		require.JSONEq(t, document(nil, answer.domain), document(nil, answer.wire), "answer %T", answer.wire)
	}
	for _, request := range []struct{ bound, wire any }{
		{tuneRequest{}, types.TuneRequest{}},
		{wfoRequest{}, types.WFORequest{}},
		{runRequest{}, types.RunRequest{}},
	} {
		require.JSONEq(t, document(request.bound, nil), document(request.wire, nil), "request %T", request.wire)
	}
}

const fullSpec = `{
	"strategy_name": "sma_cross", "side": "both", "search_type": "tpe", "n_trials": 40, "seed": 18446744073709551615,
	"tpe": {"startup": 10, "batch": 5, "candidates": 24}, "pruning": {"type": "halving", "eta": 3, "rungs": null},
	"param_space": {"fast": {"low": 5, "high": 50, "step": 5, "type": "int"}, "slow": [20, 50.5, 1e21, 1e-7], "k": {"low": 0.1, "high": 9, "log": true}},
	"constraints": ["fast < slow"], "objective_type": "calmar", "objective_params": {"lambda": 0.02}, "select_on": "is", "oos_ratio": 0.3,
	"window": {"train_start": "2020-01-01T00:00:00Z", "train_end": "2021-01-01T00:00:00Z", "test_end": "2022-01-01T00:00:00Z"},
	"gates": {"max_drawdown_pct": 20, "min_trades": 5},
	"account": {"cash": 10000, "commission": 0.0001, "slippage": 0, "size": 0.9999, "whole_units": true, "exclusive": false},
	"stops": {"stop_pct": 1, "target_pct": 2, "trail_pct": 3, "stop_atr": 4, "target_atr": 5, "trail_atr": 6, "atr_period": 7},
	"intrabar_policy": "worst", "datasets": ["a", "b"], "aggregate": "mean"}`

// What is rendered as a wire type has the bytes that the domain's own value had, by both encoders
// that the server uses: one keeps responses with their idempotency key, the other answers.
func TestRenderingAWireTypeChangesNoByte(t *testing.T) {
	t.Parallel()
	same := func(domain, wire any) {
		t.Helper()
		was, err := json.Marshal(domain, json.Deterministic(true))
		require.NoError(t, err)
		is, err := json.Marshal(wire, json.Deterministic(true))
		require.NoError(t, err)
		require.Equal(t, string(was), string(is))
		was, err = stdjson.Marshal(domain)
		require.NoError(t, err)
		is, err = stdjson.Marshal(wire)
		require.NoError(t, err)
		require.Equal(t, string(was), string(is))
	}
	var full sweep.Spec
	require.NoError(t, json.Unmarshal([]byte(fullSpec), &full, json.RejectUnknownMembers(true)))
	same(full, viewSpec(full))
	same(sweep.Spec{}, viewSpec(sweep.Spec{}))

	m := backtest.Metrics{
		Bars: 1, Trades: 2, FinalEquity: 10_000.25, ReturnPct: -1e-9, CAGRPct: 1e22, MaxDrawdownPct: math.NaN(), MaxDrawdownBars: 3,
		Sharpe: math.Copysign(0, -1), Sortino: math.Inf(1), Calmar: 1.0 / 3, Periods: 4, Kurt: 3,
	}
	wire, err := viewMetrics(&m)
	require.NoError(t, err)
	same(m, wire)

	same(sweep.Trial{}, viewTrial(sweep.Trial{}))
	same(sweep.Trial{
		Index: 7, Status: sweep.StatusSkipped, Params: map[string]float64{"b": 2, "a": 1}, Score: new(1.5), TradesOOS: new(3), Reason: "why",
		Pruned: &sweep.PrunedAt{Rung: 1, Score: new(0.1)},
	}, viewTrial(sweep.Trial{
		Index: 7, Status: sweep.StatusSkipped, Params: map[string]float64{"b": 2, "a": 1}, Score: new(1.5), TradesOOS: new(3), Reason: "why",
		Pruned: &sweep.PrunedAt{Rung: 1, Score: new(0.1)},
	}))
	r := &sweep.Regime{Schema: "s", Vector: sweep.RegimeVector{RSI: 55.5, ZScore: -0.25}, Tags: []string{"uptrend"}, Fingerprint: "f", Bars: 200, At: time.Unix(1, 0).UTC()}
	same(r, viewRegime(r))
	same((*sweep.Regime)(nil), viewRegime(nil))
}
