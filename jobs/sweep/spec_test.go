package sweep

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

func TestNormalizeIsCompleteAndIdempotent(t *testing.T) {
	t.Parallel()
	spec := Spec{StrategyName: "sma_cross", Account: AccountSpec{Commission: new(backtest.Commission(0))}}
	spec.Normalize()
	require.Equal(t, backtest.SideBoth, spec.Side)
	require.Equal(t, SearchGrid, spec.SearchType)
	require.Nil(t, spec.NTrials, "a grid runs whole")
	require.Equal(t, 10_000.0, *spec.Account.Cash)
	require.Zero(t, *spec.Account.Commission, "what is set to zero stays zero")
	once, err := json.Marshal(spec, json.Deterministic(true))
	require.NoError(t, err)
	spec.Normalize()
	twice, err := json.Marshal(spec, json.Deterministic(true))
	require.NoError(t, err)
	require.Equal(t, string(once), string(twice))

	random := Spec{SearchType: SearchRandom}
	random.Normalize()
	require.Equal(t, DefaultTrials, *random.NTrials)
}

func TestNormalizeLeavesCopiesAlone(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	before, err := stdjson.Marshal(spec)
	require.NoError(t, err)
	require.Empty(t, spec.Check())
	after, err := stdjson.Marshal(spec)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

const tuneBody = `{"strategy_name": "sma_cross", "side": "both",
	"search_type": "grid", "n_trials": null, "seed": 1,
	"param_space": {"fast": {"low": 5, "high": 50, "step": 5}, "slow": [20, 50, 100, 200]},
	"constraints": ["fast < slow"], "objective_type": "sharpe", "objective_params": {},
	"oos_ratio": 0.3, "gates": {"max_drawdown_pct": 20, "min_trades": 5},
	"account": {"cash": 10000, "commission": 0.002, "slippage": 0, "size": 0.9999, "whole_units": true, "exclusive": true},
	"stops": null, "intrabar_policy": "worst"}`

func TestSpecReadsTheTuneBody(t *testing.T) {
	t.Parallel()
	var spec Spec
	require.NoError(t, json.Unmarshal([]byte(tuneBody), &spec, json.RejectUnknownMembers(true)))
	require.Empty(t, spec.Check())
	n, errs := Size(spec)
	require.Empty(t, errs)
	require.Equal(t, 3+9+10+10, n)

	// What is stored by either JSON package reads back the same.
	spec.Normalize()
	stored, err := stdjson.Marshal(spec)
	require.NoError(t, err)
	var again Spec
	require.NoError(t, json.Unmarshal(stored, &again, json.RejectUnknownMembers(true)))
	require.Equal(t, spec, again)
	again = Spec{}
	require.NoError(t, stdjson.Unmarshal(stored, &again))
	require.Equal(t, spec, again)
}

func TestRangeRejectsInvalidJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`5`, `"5"`, `null`, `true`, `[5, "6"]`, `[null]`, `{"low": 1, "high": 2, "stepp": 1}`,
		`{"low": 1, "low": 2, "high": 3}`, `{"low": "1", "high": 2}`, `[[1]]`,
	} {
		var spec Spec
		err := json.Unmarshal([]byte(`{"param_space": {"fast": `+text+`}}`), &spec)
		require.ErrorContains(t, err, "/param_space/fast", text)
	}
}

func TestCheckNamesTheField(t *testing.T) {
	t.Parallel()
	list := func(values ...float64) Range { return Range{Values: values} }
	span := func(low, high float64) Range { return Range{Low: &low, High: &high} }
	stepped := func(low, high, step float64) Range { return Range{Low: &low, High: &high, Step: &step} }
	tests := map[string]struct {
		change  func(*Spec)
		field   string
		message string
	}{
		"unknown strategy":   {func(s *Spec) { s.StrategyName = "hodl" }, "strategy_name", "unknown"},
		"unknown side":       {func(s *Spec) { s.Side = "up" }, "side", "unknown"},
		"unknown search":     {func(s *Spec) { s.SearchType = "magic" }, "search_type", "unknown"},
		"unknown objective":  {func(s *Spec) { s.ObjectiveType = "luck" }, "objective_type", "unknown"},
		"unknown selection":  {func(s *Spec) { s.SelectOn = "all" }, "select_on", "unknown"},
		"selection no split": {func(s *Spec) { s.SelectOn, s.OOSRatio = "oos", nil }, "select_on", "oos_ratio"},
		"unknown policy":     {func(s *Spec) { s.IntrabarPolicy = "nice" }, "intrabar_policy", "unknown"},
		"oos zero":           {func(s *Spec) { s.OOSRatio = new(0.0) }, "oos_ratio", "0.5"},
		"oos above half":     {func(s *Spec) { s.OOSRatio = new(0.51) }, "oos_ratio", "0.5"},
		"no trials":          {func(s *Spec) { s.NTrials = new(0) }, "n_trials", "1000000"},
		"too many trials":    {func(s *Spec) { s.NTrials = new(1_000_001) }, "n_trials", "1000000"},
		"negative lambda":    {func(s *Spec) { s.ObjectiveParams.Lambda = new(-1.0) }, "objective_params.lambda", "from 0"},
		"drawdown gate":      {func(s *Spec) { s.Gates.MaxDrawdownPct = new(101.0) }, "gates.max_drawdown_pct", "100"},
		"trades gate":        {func(s *Spec) { s.Gates.MinTrades = new(-1) }, "gates.min_trades", "from 0"},
		"no cash":            {func(s *Spec) { s.Account.Cash = new(0.0) }, "account.cash", "from 1"},
		"stop over all":      {func(s *Spec) { s.Stops = &backtest.Stops{StopPct: 200} }, "stops.stop_pct", "99"},
		"empty space":        {func(s *Spec) { s.ParamSpace = nil }, "param_space", "empty"},
		"unknown parameter":  {func(s *Spec) { s.ParamSpace["speed"] = list(1) }, "param_space.speed", "no such"},
		"empty list":         {func(s *Spec) { s.ParamSpace["fast"] = Range{Values: []float64{}} }, "param_space.fast", "empty list"},
		"long list":          {func(s *Spec) { s.ParamSpace["fast"] = Range{Values: make([]float64, 10_001)} }, "param_space.fast", "10000"},
		"repeated value":     {func(s *Spec) { s.ParamSpace["fast"] = list(5, 6, 5) }, "param_space.fast", "5 twice"},
		"value of list":      {func(s *Spec) { s.ParamSpace["fast"] = list(5, 1e9) }, "param_space.fast[1]", "outside"},
		"fraction of list":   {func(s *Spec) { s.ParamSpace["fast"] = list(5.5) }, "param_space.fast[0]", "whole"},
		"no high":            {func(s *Spec) { s.ParamSpace["fast"] = Range{Low: new(5.0)} }, "param_space.fast.high", "missing"},
		"high out of bounds": {func(s *Spec) { s.ParamSpace["fast"] = span(5, 1e9) }, "param_space.fast.high", "outside"},
		"reversed":           {func(s *Spec) { s.ParamSpace["fast"] = span(50, 5) }, "param_space.fast.high", "below low"},
		"zero step":          {func(s *Spec) { s.ParamSpace["fast"] = stepped(5, 50, 0) }, "param_space.fast.step", "above 0"},
		"fractional step":    {func(s *Spec) { s.ParamSpace["fast"] = stepped(5, 50, 0.5) }, "param_space.fast.step", "whole"},
		"unknown type":       {func(s *Spec) { s.ParamSpace["fast"] = Range{Low: new(5.0), High: new(9.0), Type: "num"} }, "param_space.fast.type", "unknown"},
		"float of an int":    {func(s *Spec) { s.ParamSpace["fast"] = Range{Low: new(5.0), High: new(9.0), Type: "float"} }, "param_space.fast.type", "int"},
		"log on a grid":      {func(s *Spec) { s.ParamSpace["fast"] = Range{Low: new(5.0), High: new(9.0), Log: true} }, "param_space.fast.log", "grid"},
		"log with a step":    {func(s *Spec) { s.ParamSpace["fast"] = Range{Low: new(5.0), High: new(9.0), Step: new(1.0), Log: true} }, "param_space.fast.log", "step"},
		"bad constraint":     {func(s *Spec) { s.Constraints = []string{"fast < slow", "fast <"} }, "constraints[1]", "cannot be read"},
		"many constraints":   {func(s *Spec) { s.Constraints = make([]string, 21) }, "constraints", "20"},
		"huge grid": {func(s *Spec) {
			s.ParamSpace["fast"], s.ParamSpace["slow"] = span(2, 400), stepped(2, 400, 1)
			s.ParamSpace["slow"] = span(2, 400)
			s.Constraints = nil
			s.StrategyName, s.ParamSpace = "macd_cross", map[string]Range{"fast": span(2, 200), "slow": span(2, 200), "signal": span(2, 60)}
		}, "n_trials", "seeded sample"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := crossSpec()
			test.change(&spec)
			errs := spec.Check()
			require.NotEmpty(t, errs)
			var messages []string
			for _, e := range errs {
				if e.Field == test.field {
					messages = append(messages, e.Message)
				}
			}
			require.NotEmpty(t, messages, "%v names no %s", errs, test.field)
			require.Contains(t, strings.Join(messages, "; "), test.message)
			_, sizeErrs := Size(spec)
			require.Equal(t, errs, sizeErrs)
		})
	}
}

func TestCheckReportsEveryInvalidField(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.Side, spec.ObjectiveType, spec.OOSRatio = "up", "luck", new(0.9)
	spec.ParamSpace["fast"] = Range{Values: []float64{-1}}
	spec.Constraints = []string{"1"}
	require.Len(t, spec.Check(), 5)
}

func FuzzParamSpace(f *testing.F) {
	f.Add(`{"fast": {"low": 5, "high": 50, "step": 5}, "slow": [20, 50]}`)
	f.Add(`{"fast": {"low": 1e308, "high": -1e308, "step": 1e-300}}`)
	f.Add(`{"fast": {"low": 2, "high": 9, "log": true}, "slow": []}`)
	f.Add(`{"fast": {"low": 5, "high": 50, "type": "int"}, "slow": {"low": 6, "high": 7}}`)
	bars := randomWalk(f, 400, 1)
	f.Fuzz(func(t *testing.T, text string) {
		var ranges map[string]Range
		if json.Unmarshal([]byte(text), &ranges) != nil {
			return
		}
		for _, search := range Searches() {
			spec := Spec{StrategyName: "sma_cross", SearchType: search, ParamSpace: ranges, NTrials: new(50), Constraints: []string{"fast < slow"}}
			p, errs := NewPlan(spec, bars, backtest.CalendarExchange)
			if len(errs) > 0 {
				continue
			}
			strategy, _ := backtest.Lookup("sma_cross")
			require.Positive(t, p.Trials())
			for _, params := range allParams(p) {
				for k, param := range strategy.Params() {
					require.Nil(t, param.Check(param.Name, params[k]))
				}
				require.Less(t, params[0], params[1])
			}
		}
	})
}
