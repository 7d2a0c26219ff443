package console

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// everything is a search in which nothing is as it would be by default.
const everything = `{
	"strategy_name": "sma_cross", "side": "long", "search_type": "tpe", "n_trials": 77, "seed": 9007199254740993, "tpe": {"startup": 11, "batch": 7, "candidates": 13},
	"pruning": {"type": "halving", "eta": 4, "rungs": 2}, "param_space": {"fast": {"low": 5, "high": 50, "step": 5}, "slow": [50, 100]}, "constraints": ["fast < slow"],
	"objective_type": "sharpe_dd_penalty", "objective_params": {"lambda": 0}, "select_on": "oos", "oos_ratio": 0.25, "gates": {"max_drawdown_pct": 33, "min_trades": 2},
	"account": {"cash": 5000, "commission": 0.001, "slippage": 0.0003, "size": 0.5, "whole_units": false, "exclusive": false},
	"stops": {"stop_pct": 8, "target_pct": 20, "trail_pct": 5, "stop_atr": 1, "target_atr": 2, "trail_atr": 3, "atr_period": 21},
	"intrabar_policy": "best", "intrabar_dataset": "hours", "aggregate": "mean", "evidence": {"permutations": 19}}`

func specOf(t *testing.T, raw []byte) (spec types.Spec, normal sweep.Spec) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, &spec))
	require.NoError(t, json.Unmarshal(raw, &normal))
	normal.Normalize()
	return spec, normal
}

// A tune that is run again from its form is the same request: also what the form has no field for, and what a number of the
// form could not hold.
func TestTheFormOfATuneToRunAgainCarriesEverything(t *testing.T) {
	t.Parallel()
	spec, want := specOf(t, []byte(everything))
	form, err := formOf(tune{Tune: types.Tune{Datasets: []string{"days"}, Spec: spec}})
	require.NoError(t, err)
	body, faults := form.body()
	require.Empty(t, faults)
	require.Equal(t, "days", body["dataset"])
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	_, got := specOf(t, raw)
	require.Equal(t, want, got)

	// What is emptied in the form is the default again, and what is changed is sent.
	form.Advanced["account.cash"], form.Advanced["stops.stop_pct"], form.Advanced["account.whole_units"] = "", "9", settingYes
	body, faults = form.body()
	require.Empty(t, faults)
	require.NotContains(t, body["account"], "cash")
	require.Equal(t, true, body["account"].(map[string]any)["whole_units"])
	require.Equal(t, json.Number("9"), body["stops"].(map[string]any)["stop_pct"])
	form.Advanced["account.slippage"] = "much"
	_, faults = form.body()
	require.Equal(t, []FieldFault{{Field: "account.slippage", Message: `"much" is not a number`}}, faults)

	// Another strategy takes nothing of the one before but what the form shows.
	form.Advanced["account.slippage"] = ""
	form.Strategy = "ema_cross"
	body, _ = form.body()
	require.NotContains(t, body, "tpe")
}

func TestTheFormOfAWalkForwardToRunAgainCarriesEverything(t *testing.T) {
	t.Parallel()
	spec, want := specOf(t, []byte(everything))
	spec.SelectOn, want.SelectOn = "is", "is"
	spec.Evidence, want.Evidence, spec.OOSRatio, want.OOSRatio = nil, nil, nil, nil
	config := types.WFOConfig{
		TrainDays: new(700), TestDays: new(90), StepDays: new(45), MinFolds: new(2), LeaderboardTopK: new(4), AllowPartial: new(true), Anchored: new(true),
		StartTS: new(time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)), EndTS: new(time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	form, err := formOfWalkForward(walkForward{WFO: types.WFO{Dataset: "days", Datasets: []string{"days"}, Spec: spec, WFOConfig: config}})
	require.NoError(t, err)
	body, faults := form.body()
	require.Empty(t, faults)
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	_, got := specOf(t, raw)
	require.Equal(t, want, got)
	var again types.WFORequest
	require.NoError(t, json.Unmarshal(raw, &again))
	require.Equal(t, config, again.WFOConfig)
}

// Fields of the API are named as the API names them, wherever a sentence begins with one or has one.
func TestFieldsInSentencesKeepTheirNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"account.whole_units rounds to nothing": "account.whole_units rounds to nothing", "the field account.whole_units is on": "The field account.whole_units is on",
		"job_runs": "Job runs", "wfo": "WFO", "tick_size 0.01: found": "tick_size 0.01: found", "too few trades": "Too few trades", "": "",
	} {
		require.Equal(t, want, title(text))
	}
}

// The first dataset is chosen beside the others, and all of them are sent again.
func TestTheFormOfAWalkForwardOverDatasetsKeepsThem(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"strategy_name": "sma_cross", "param_space": {"fast": [5, 10]}, "datasets": ["a", "b@2", "c"], "aggregate": "worst"}`)
	spec, _ := specOf(t, raw)
	form, err := formOfWalkForward(walkForward{WFO: types.WFO{Dataset: "a", Datasets: spec.Datasets, Spec: spec}})
	require.NoError(t, err)
	require.Equal(t, "a", form.Dataset)
	data := tuneFormData{Form: form, Datasets: []types.Dataset{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	chosen := map[string]bool{}
	for _, set := range data.MoreSets() {
		chosen[set.Name] = set.Chosen
	}
	require.Equal(t, map[string]bool{"a": false, "b": false, "b@2": true, "c": true}, chosen)
	body, faults := form.body()
	require.Empty(t, faults)
	require.NotContains(t, body, "dataset")
	require.Equal(t, []string{"a", "b@2", "c"}, body["datasets"])
	require.Equal(t, "worst", body["aggregate"])
	form.More = nil
	body, _ = form.body()
	require.Equal(t, "a", body["dataset"])
	require.NotContains(t, body, "datasets")
}
