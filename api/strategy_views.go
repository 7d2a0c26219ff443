package api

import (
	"encoding/hex"
	"fmt"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/store/strategies"
)

func viewReport(name string, r strategies.Report, status strategies.Status) types.Strategy {
	warmup := "all bars before the window"
	if r.Warmup != nil {
		warmup = fmt.Sprintf("%d bars at the defaults", *r.Warmup)
	}
	view := types.Strategy{
		Name: name, Doc: r.Title, Params: viewParams(r.Params), Status: types.StrategyStatus(status), Class: r.Class,
		ParamSpace: map[string]types.ParamRange{}, Warmup: &warmup, Notes: []types.Diagnostic{},
	}
	if status != strategies.Checking {
		view.Examination = (*types.Examination)(&r.Examination)
	}
	a := r.Account
	view.Account = &types.Account{
		Cash: a.Cash, Commission: types.Commission{Fraction: float64(a.Commission)}, Slippage: a.Slippage, Size: a.Size,
		WholeUnits: a.WholeUnits, Exclusive: a.Exclusive,
	}
	for param, axis := range r.Space {
		view.ParamSpace[param] = viewAxis(axis)
	}
	for _, d := range r.Notes {
		view.Notes = append(view.Notes, types.Diagnostic{
			Line: d.Line, Column: d.Column, Code: d.Code, Severity: string(d.Severity), Message: d.Message, Advice: d.Advice,
		})
	}
	return view
}

func viewAxis(a pine.Axis) types.ParamRange {
	if a.Labels != nil || a.Values != nil {
		return types.ParamRange{Labels: a.Labels, Values: a.Values}
	}
	return types.ParamRange{RangeObject: types.RangeObject{Low: &a.Low, High: &a.High, Step: &a.Step}}
}

func viewScript(script *strategies.Script) types.Strategy {
	view := viewReport(script.FullName(), script.Report, script.Status)
	at := script.CreatedAt.UTC()
	view.StrategyID, view.Version, view.SHA256, view.CreatedAt = script.ID.String(), script.Version, hex.EncodeToString(script.SHA256), &at
	view.CheckedAt, view.ArchivedAt = utc(script.CheckedAt), utc(script.ArchivedAt)
	return view
}

func viewParams(specs []backtest.ParamSpec) []types.ParamSpec {
	views := []types.ParamSpec{}
	for _, p := range specs {
		views = append(views, types.ParamSpec{
			Name: p.Name, Kind: types.ParamKind(p.Kind), Default: p.Default, Min: p.Min, Max: p.Max, Step: p.Step, Doc: p.Doc, Labels: p.Labels, Group: p.Group, Tooltip: p.Tooltip,
		})
	}
	return views
}
