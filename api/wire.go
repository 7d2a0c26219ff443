package api

import (
	"encoding/json"
	"fmt"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// What the pure domain computes is rendered as the wire types of package types. Structs of the same
// shape are converted by the language, so the compiler finds a member that only one of them has;
// TestWireTypesHaveTheShapesOfTheDomain compares the rest.

// viewSpec renders what a tune searches.
func viewSpec(s sweep.Spec) types.Spec {
	return types.Spec{
		StrategyName: s.StrategyName, Side: types.Side(s.Side), SearchType: types.SearchType(s.SearchType), NTrials: s.NTrials, Seed: s.Seed,
		TPE: (*types.TPE)(s.TPE), Pruning: (*types.Pruning)(s.Pruning), ParamSpace: viewSpace(s.ParamSpace), Constraints: s.Constraints,
		ObjectiveType: types.Objective(s.ObjectiveType), ObjectiveParams: types.ObjectiveParams(s.ObjectiveParams), SelectOn: s.SelectOn,
		OOSRatio: s.OOSRatio, Window: (*types.TrainTest)(s.Window), Gates: types.GateLimits(s.Gates), Account: viewAccount(s.Account),
		Stops: (*types.Stops)(s.Stops), IntrabarPolicy: types.IntrabarPolicy(s.IntrabarPolicy), Datasets: s.Datasets,
		Aggregate: types.Aggregate(s.Aggregate), Script: (*types.Script)(s.Script),
		Evidence: (*types.EvidenceSpec)(s.Evidence), IntrabarDataset: s.IntrabarDataset,
	}
}

func viewSpace(space map[string]sweep.Range) map[string]types.ParamRange {
	if space == nil {
		return nil
	}
	view := make(map[string]types.ParamRange, len(space))
	for name, r := range space {
		view[name] = types.ParamRange{
			Values: r.Values, Labels: r.Labels, RangeObject: types.RangeObject{Low: r.Low, High: r.High, Step: r.Step, Log: r.Log, Type: r.Type},
		}
	}
	return view
}

func viewAccount(a sweep.AccountSpec) types.AccountSpec {
	view := types.AccountSpec{Cash: a.Cash, Slippage: a.Slippage, Size: a.Size, WholeUnits: a.WholeUnits, Exclusive: a.Exclusive}
	if a.Commission != nil {
		view.Commission = &types.Commission{Fraction: float64(*a.Commission)}
	}
	return view
}

func viewRegime(r *sweep.Regime) *types.Regime {
	if r == nil {
		return nil
	}
	return &types.Regime{
		Schema: r.Schema, Vector: types.RegimeVector(r.Vector), Tags: r.Tags, Fingerprint: r.Fingerprint, Bars: r.Bars, At: r.At,
		Character: (*types.Character)(r.Character),
	}
}

// viewMetrics renders figures with the reasons of those that are undefined.
func viewMetrics(m *backtest.Metrics) (*types.Metrics, error) {
	if m == nil {
		return nil, nil
	}
	raw, err := m.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("render metrics: %w", err)
	}
	view := &types.Metrics{}
	if err := json.Unmarshal(raw, view); err != nil {
		return nil, fmt.Errorf("render metrics: %w", err)
	}
	return view, nil
}

func viewTrial(t sweep.Trial) types.Trial {
	return types.Trial{
		Index: t.Index, Status: types.TrialStatus(t.Status), Params: t.Params, Score: t.Score, ScoreIS: t.ScoreIS, ScoreOOS: t.ScoreOOS,
		OverfitGap: t.OverfitGap, ReturnPctIS: t.ReturnPctIS, ReturnPctOOS: t.ReturnPctOOS, MaxDrawdownIS: t.MaxDrawdownIS,
		MaxDrawdownOOS: t.MaxDrawdownOOS, TradesIS: t.TradesIS, TradesOOS: t.TradesOOS, Reason: t.Reason, Pruned: (*types.PrunedAt)(t.Pruned),
	}
}
