package sweep

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// chosen is a script-like strategy: a mean of a chosen series crossed by the close, and an error for
// one choice.
type chosen struct{ backtest.Strategy }

func (chosen) Params() []backtest.ParamSpec {
	return []backtest.ParamSpec{
		{Name: "Fast Length", Kind: backtest.KindInt, Default: 10, Min: 1, Max: 100, Step: 1},
		{Name: "Slow Length", Kind: backtest.KindInt, Default: 30, Min: 1, Max: 1000, Step: 1},
		{Name: "Source", Kind: backtest.KindEnum, Default: 0, Max: 2, Step: 1, Labels: []string{"close", "open", "broken"}},
		{Name: "Filter", Kind: backtest.KindBool, Default: 0, Max: 1, Step: 1},
	}
}

func (chosen) Account() backtest.Account { return backtest.Account{Cash: 5000, Size: 0.5} }

func (chosen) Notes(bool) []string { return []string{"line 1: remarked"} }

var _ backtest.Scripted = chosen{}

func (c chosen) Trader(cache *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return &chosenTrader{Trader: c.Strategy.Trader(cache, cfg)}
}

var errBroken = errors.New("line 7, column 3: the source is broken")

type chosenTrader struct {
	backtest.Trader
	err  error
	stop func() bool
}

func (t *chosenTrader) Prepare(p backtest.Params) {
	t.err = nil
	if p[2] == 2 {
		t.err = errBroken
	}
	t.Trader.Prepare(p[:2])
}
func (t *chosenTrader) Err() error              { return t.err }
func (t *chosenTrader) OnStop(stop func() bool) { t.stop = stop }

func chosenSpec(t *testing.T, space string) Spec {
	t.Helper()
	spec := Spec{StrategyName: "pine:chosen@1", Gates: GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(0)}}
	require.NoError(t, json.Unmarshal([]byte(space), &spec.ParamSpace))
	native, _ := backtest.Lookup("sma_cross")
	spec.Bind(chosen{native})
	return spec
}

func TestLabelsAndTruthValuesAreSearched(t *testing.T) {
	t.Parallel()
	spec := chosenSpec(t, `{"Fast Length": {"low": 5, "high": 15, "step": 5}, "Source": ["open", "close"], "Filter": [true, false]}`)
	spec.Constraints = []string{`"Fast Length" < "Slow Length"`}
	require.Empty(t, spec.Check())
	p := plan(t, spec, randomWalk(t, 700, 8))
	require.Equal(t, 12, p.Trials())
	out := collect(t, p, 5)
	require.Equal(t, 12, out.Counts.Completed)
	require.Equal(t, 5000.0, p.config.Account.Cash, "what the request does not name is the script's")
	stored, err := json.Marshal(spec.ParamSpace, json.Deterministic(true))
	require.NoError(t, err)
	require.JSONEq(t, `{"Fast Length": {"low": 5, "high": 15, "step": 5}, "Source": ["open", "close"], "Filter": [1, 0]}`, string(stored))
}

func TestRangesOfChoicesAreRefused(t *testing.T) {
	t.Parallel()
	for space, field := range map[string]string{
		`{"Source": ["volume"]}`:                            "param_space.Source[0]",
		`{"Source": {"low": 0, "high": 1}}`:                 "param_space.Source",
		`{"Filter": [0.5]}`:                                 "param_space.Filter[0]",
		`{"Filter": {"low": 0, "high": 1, "type":"float"}}`: "param_space.Filter.type",
		`{"Fast Length": ["ten"]}`:                          "param_space.Fast Length[0]",
	} {
		faults := chosenSpec(t, space).Check()
		require.Len(t, faults, 1, space)
		require.Equal(t, field, faults[0].Field, space)
	}
	var r Range
	require.Error(t, json.Unmarshal([]byte(`["a", 1]`), &r))
	require.Error(t, json.Unmarshal([]byte(`[null]`), &r))
}

func TestFailingTrialsOfAScriptSayWhyAndTheOthersCount(t *testing.T) {
	t.Parallel()
	spec := chosenSpec(t, `{"Fast Length": [5, 10], "Source": ["close", "open", "broken"]}`)
	out := collect(t, plan(t, spec, randomWalk(t, 700, 8)), 2)
	require.Equal(t, Counts{Completed: 4, Failed: 2}, out.Counts)
	require.Contains(t, out.Warnings[len(out.Warnings)-1], "line 7, column 3")
	require.Len(t, out.Leaderboard, 4)
}

func TestSpecOfAnUnboundScriptIsRefused(t *testing.T) {
	t.Parallel()
	spec := Spec{StrategyName: "pine:gone@1", Script: &Script{Params: []string{"a", "b"}}}
	require.Equal(t, []string{"a", "b"}, spec.ParamNames(), "stored trials are read without the script")
	require.Equal(t, "strategy_name", spec.Check()[0].Field)
}
