package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/tearsheet"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
	"millrace/jobs/sweep"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// tearSheetRoutes are the tear sheets of results.
func (s *Server) tearSheetRoutes() []route {
	var routes []route
	for _, of := range []struct {
		path, what string
		make       func(ctx context.Context, workspace, id uuid.UUID) (tearsheet.Sheet, error)
	}{
		{"/backtests/tunes", "tune", s.sheetOfTune},
		{"/backtests/wfo", "walk-forward", s.sheetOfWFO},
		{"/backtests/runs", "run", s.sheetOfRun},
	} {
		routes = append(routes, route{http.MethodGet, of.path + "/:id/tearsheet", viewer, s.serveTearSheet(of.make), bodyLimit, about{
			summary: "The " + of.what + " as one page to print: verdict, equity beside buy and hold, months, drawdowns, costs", media: "text/html"}})
	}
	return routes
}

// serveTearSheet answers with a page that holds all it needs and may run nothing.
func (s *Server) serveTearSheet(of func(ctx context.Context, workspace, id uuid.UUID) (tearsheet.Sheet, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := pathID(c)
		if err != nil {
			return err
		}
		sheet, err := of(c.Request().Context(), workspaceOf(c), id)
		if err != nil {
			return err
		}
		sheet.ID, sheet.Made = id.String(), s.store.Clock().Now()
		var out bytes.Buffer
		if err := tearsheet.Render(&out, sheet); err != nil {
			return err
		}
		c.Response().Header().Set("Content-Security-Policy", tearsheet.Policy())
		return c.HTMLBlob(http.StatusOK, out.Bytes())
	}
}

// notEnded is the answer for a result that is not there yet, or never will be.
func notEnded(what, status string) error {
	return problem(http.StatusConflict, "A tear sheet is made of a result, and the "+what+" is "+status+".")
}

func (s *Server) sheetOfTune(ctx context.Context, workspace, id uuid.UUID) (tearsheet.Sheet, error) {
	tune, err := s.store.Tuning.Get(ctx, workspace, id)
	if err != nil {
		return tearsheet.Sheet{}, err
	}
	if tune.Status != tuning.Completed {
		return tearsheet.Sheet{}, notEnded("tune", string(tune.Status))
	}
	if err := s.store.Strategies.Bind(ctx, workspace, &tune.Spec); err != nil {
		return tearsheet.Sheet{}, err
	}
	sheet := tearsheet.Sheet{
		Kind: "Tune", Title: tune.Spec.StrategyName + " on " + strings.Join(tune.Datasets(), ", "), Warnings: shown(tune.Warnings),
		Facts: append(specFacts(tune.Spec), tearsheet.Fact{Name: "Trials", Value: fmt.Sprint(tune.Trials)}),
	}
	var found struct {
		Evidence *types.Evidence `json:"evidence"`
		Reasons  map[string]int  `json:"reasons"`
	}
	if err := json.Unmarshal(orNull(tune.Outcome), &found); err != nil {
		return sheet, fmt.Errorf("decode outcome of tune %s: %w", id, err)
	}
	sheet.Evidence = found.Evidence
	entries, err := s.store.Tuning.LeaderboardOf(ctx, workspace, id, 1)
	if err != nil {
		return sheet, err
	}
	if len(entries) == 0 {
		sheet.Excluded = excluded(found.Reasons)
		sheet.Admits, err = s.admits(ctx, workspace, tune)
		return sheet, err
	}
	var best types.Entry
	if err := json.Unmarshal(entries[0], &best); err != nil {
		return sheet, fmt.Errorf("decode the best trial of tune %s: %w", id, err)
	}
	sheet.Facts = append(sheet.Facts, tearsheet.Fact{Name: "Best trial", Value: fmt.Sprintf("%d: %s", best.TrialIndex, paramsText(best.Params))})
	sheet.Columns, sheet.Figures = []string{"all bars"}, tearsheet.Metrics(&best.MetricsIS)
	if best.MetricsOOS != nil {
		sheet.Columns, sheet.Figures = []string{"in sample", "out of sample"}, tearsheet.Metrics(&best.MetricsIS, best.MetricsOOS)
	}
	sheet.Curves = fmt.Sprintf("trial %d", best.TrialIndex)
	if several := tune.Datasets(); len(several) > 1 {
		sheet.Curves += " on " + several[0] + ", the first of " + fmt.Sprint(len(several)) + " datasets"
	}
	return sheet, s.curveOfTrial(ctx, tune, best.Params, &sheet)
}

// excluded are the reasons why no trial is left, most trials first.
func excluded(reasons map[string]int) []tearsheet.Excluded {
	var all []tearsheet.Excluded
	for why, n := range reasons {
		all = append(all, tearsheet.Excluded{Trials: n, Why: why})
	}
	slices.SortFunc(all, func(a, b tearsheet.Excluded) int {
		return cmp.Or(cmp.Compare(b.Trials, a.Trials), cmp.Compare(a.Why, b.Why))
	})
	return all
}

// curveOfTrial runs the trial again for its equity, out of sample continued from what it had in sample.
func (s *Server) curveOfTrial(ctx context.Context, tune *tuning.Tune, params map[string]float64, sheet *tearsheet.Sheet) error {
	series, err := s.store.Tuning.Series(ctx, tune)
	if err != nil {
		return err
	}
	plan, faults := sweep.NewPlanOver(tune.Spec, series)
	if err := fieldProblems(faults); err != nil {
		return err
	}
	replay, faults := plan.Replay(params, func() bool { return ctx.Err() != nil })
	if err := fieldProblems(faults); err != nil {
		return err
	}
	account, _ := tune.Spec.EffectiveAccount()
	part := func(w backtest.Window, equity []float64) report.Curve {
		return report.Curve{Bars: series[0].Bars, Window: w, Calendar: series[0].Calendar, Start: account.Cash, Equity: equity}
	}
	sheet.Curve = report.Join(part(replay.IS, replay.EquityIS), part(replay.OOS, replay.EquityOOS))
	if replay.OOS.Len() > 0 {
		sheet.Split = series[0].Bars.Time[replay.OOS.From]
	}
	return nil
}

func (s *Server) sheetOfWFO(ctx context.Context, workspace, id uuid.UUID) (tearsheet.Sheet, error) {
	wfo, err := s.store.WalkForward.Get(ctx, workspace, id)
	if err != nil {
		return tearsheet.Sheet{}, err
	}
	if wfo.Status != walkforward.Completed && wfo.Status != walkforward.Partial {
		return tearsheet.Sheet{}, notEnded("walk-forward", string(wfo.Status))
	}
	if err := s.store.Strategies.Bind(ctx, workspace, &wfo.Spec); err != nil {
		return tearsheet.Sheet{}, err
	}
	sheet := tearsheet.Sheet{
		Kind: "Walk-forward", Title: wfo.Spec.StrategyName + " on " + strings.Join(wfo.Datasets(), ", "), Warnings: shown(wfo.Warnings), Curves: "the folds' choices on their test windows",
		Facts: append(specFacts(wfo.Spec), tearsheet.Fact{Name: "Folds", Value: fmt.Sprintf("%d of %d came through", wfo.FoldsDone-wfo.FoldsFailed, wfo.Folds)}),
	}
	var found sweep.WFOOutcome
	if err := json.Unmarshal(orNull(wfo.Outcome), &found); err != nil {
		return sheet, fmt.Errorf("decode outcome of walk-forward %s: %w", id, err)
	}
	if err := json.Unmarshal(orNull(wfo.Evidence), &sheet.Evidence); err != nil {
		return sheet, fmt.Errorf("decode evidence of walk-forward %s: %w", id, err)
	}
	if found.BestParams != nil {
		sheet.Facts = append(sheet.Facts, tearsheet.Fact{Name: "Best candidate", Value: paramsText(found.BestParams)})
	}
	trades := float64(found.OOS.Trades)
	sheet.Columns = []string{"out of sample"}
	sheet.Figures = []tearsheet.Figure{
		{Name: "Return, %", Values: []*float64{&found.OOS.ReturnPct}}, {Name: "Deepest drawdown, %", Values: []*float64{&found.OOS.MaxDrawdownPct}},
		{Name: "Sharpe", Values: []*float64{found.OOS.Sharpe}}, {Name: "Trades", Values: []*float64{&trades}},
		{Name: "Walk-forward efficiency", Values: []*float64{found.Efficiency}},
	}
	curve, err := s.store.WalkForward.Curve(ctx, workspace, id)
	if err != nil || len(curve.Bars) == 0 {
		return sheet, err
	}
	account, _ := wfo.Spec.EffectiveAccount()
	if len(curve.Parts) > 0 {
		addDatasets(&sheet, found.ByDataset)
		sheet.Curve, err = s.togetherCurve(ctx, wfo, curve, account.Cash)
		return sheet, err
	}
	bars, calendar, err := s.store.Market.Bars(ctx, workspace, wfo.DatasetID)
	sheet.Curve = stitchedCurve(curve, bars, calendar, account.Cash)
	return sheet, err
}

// stitchedCurve is a walk-forward's equity at each bar; between test windows, where it holds nothing, it
// stays as it was.
func stitchedCurve(curve sweep.Curve, bars *backtest.Bars, calendar backtest.Calendar, cash float64) report.Curve {
	from := int(curve.Bars[0])
	c := report.Curve{Bars: bars, Window: backtest.Window{From: from, To: int(curve.Bars[len(curve.Bars)-1]) + 1}, Calendar: calendar, Start: cash}
	last := cash
	for i, bar := range curve.Bars {
		for from+len(c.Equity) < int(bar) {
			c.Equity = append(c.Equity, last)
		}
		last = curve.Equity[i]
		c.Equity = append(c.Equity, last)
	}
	return c
}

func (s *Server) sheetOfRun(ctx context.Context, workspace, id uuid.UUID) (tearsheet.Sheet, error) {
	run, err := s.store.Market.RunDetail(ctx, workspace, id)
	if err != nil {
		return tearsheet.Sheet{}, err
	}
	view, err := viewRun(run)
	if err != nil {
		return tearsheet.Sheet{}, err
	}
	var spec struct {
		Params  map[string]float64 `json:"params"`
		Side    string             `json:"side"`
		Account backtest.Account   `json:"account"`
		Notes   []string           `json:"notes"`
	}
	if err := json.Unmarshal(run.Spec, &spec); err != nil {
		return tearsheet.Sheet{}, fmt.Errorf("decode run %s: %w", id, err)
	}
	bars, calendar, err := s.store.Market.Bars(ctx, workspace, run.DatasetID)
	return tearsheet.Sheet{
		Kind: "Run", Title: run.Strategy + " on " + run.Dataset, Warnings: shown(spec.Notes), Curves: "equity",
		Facts: []tearsheet.Fact{
			{Name: "Parameters", Value: paramsText(spec.Params)}, {Name: "Side", Value: spec.Side},
			{Name: "Commission, slippage", Value: fmt.Sprintf("%v %%, %v %% a side", 100*float64(spec.Account.Commission), 100*spec.Account.Slippage)},
			{Name: "Cash", Value: fmt.Sprint(spec.Account.Cash)},
		},
		Columns: []string{"all bars"}, Figures: tearsheet.Metrics(&view.Metrics),
		Curve: report.Curve{Bars: bars, Window: backtest.Window{From: run.FirstBar, To: run.FirstBar + len(run.Equity)}, Calendar: calendar, Start: spec.Account.Cash, Equity: run.Equity},
	}, err
}

// specFacts says what was searched and how.
func specFacts(spec sweep.Spec) []tearsheet.Fact {
	account, _ := spec.EffectiveAccount()
	var space []string
	for _, name := range spec.ParamNames() {
		if r, ok := spec.ParamSpace[name]; ok {
			space = append(space, name+" "+r.String())
		}
	}
	facts := []tearsheet.Fact{
		{Name: "Search", Value: fmt.Sprintf("%s by %s, seed %d", spec.SearchType, spec.ObjectiveType, *spec.Seed)},
		{Name: "Parameters", Value: strings.Join(space, "; ")},
		{Name: "Side", Value: string(spec.Side)},
		{Name: "Commission, slippage", Value: fmt.Sprintf("%v %%, %v %% a side", 100*float64(account.Commission), 100*account.Slippage)},
		{Name: "Cash", Value: fmt.Sprint(account.Cash)},
	}
	if len(spec.Constraints) > 0 {
		facts = append(facts, tearsheet.Fact{Name: "Constraints", Value: strings.Join(spec.Constraints, "; ")})
	}
	return facts
}

func paramsText(params map[string]float64) string {
	var parts []string
	for name, v := range params {
		parts = append(parts, fmt.Sprintf("%s %v", name, v))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func shown(warnings []string) []string {
	out := make([]string, len(warnings))
	for i, w := range warnings {
		out[i] = types.ShownWarning(w)
	}
	return out
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}
