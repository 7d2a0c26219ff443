package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/columns"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

// trialFields are the columns of trials, of which the parameters come third.
func trialFields(names []string) []columns.Field {
	head := []columns.Field{{Name: "trial_index", Kind: columns.Int}, {Name: "status", Kind: columns.Word}}
	tail := []columns.Field{
		{Name: "score"}, {Name: "score_is"}, {Name: "score_oos"}, {Name: "overfit_gap"}, {Name: "return_pct_is"}, {Name: "return_pct_oos"},
		{Name: "max_drawdown_pct_is"}, {Name: "max_drawdown_pct_oos"}, {Name: "trades_is", Kind: columns.Int}, {Name: "trades_oos", Kind: columns.Int},
		{Name: "reason", Kind: columns.Word},
	}
	return slices.Concat(head, paramFields(names, append(head, tail...)...), tail)
}

// figures appends what comes behind the parameters.
func (w *tableWriter) figures(at int, t sweep.Trial) error {
	reason := any(t.Reason)
	if t.Reason == "" {
		reason = nil
	}
	w.RowFrom(at, t.Score, t.ScoreIS, t.ScoreOOS, t.OverfitGap, t.ReturnPctIS, t.ReturnPctOOS, t.MaxDrawdownIS, t.MaxDrawdownOOS,
		t.TradesIS, t.TradesOOS, reason)
	return w.full()
}

// trialsTable is all trials from an index on.
func (s *Server) trialsTable(c echo.Context, tune *tuning.Tune, from int, status string) table {
	names := tune.Spec.ParamNames()
	return table{trialFields(names), func(w *tableWriter) error {
		for {
			shards, err := s.store.Tuning.TrialShards(c.Request().Context(), tune.WorkspaceID, tune.ID, from, shardsAPage)
			if err != nil {
				return err
			}
			for _, sh := range shards {
				cols, err := sweep.OpenColumns(tune.Spec, sh.Shard, sh.Columns)
				if err != nil {
					return fmt.Errorf("decode shard %d of tune %s: %w", sh.Shard.Index, tune.ID, err)
				}
				for i := max(0, from-sh.Shard.First); i < cols.Len(); i++ {
					is := string(cols.Status(i))
					if status != "" && status != is {
						continue
					}
					w.Int(0, int64(sh.Shard.First+i))
					w.Text(1, is)
					for k := range names {
						w.Float(2+k, cols.Param(k)[i])
					}
					if err := w.figures(2+len(names), cols.Figures(i)); err != nil {
						return err
					}
				}
				from = max(from, sh.Shard.First+sh.Shard.Trials)
			}
			if len(shards) < shardsAPage {
				return nil
			}
		}
	}}
}

// trialPage is a page of trials as a table.
func trialPage(tune *tuning.Tune, trials []types.Trial) table {
	names := tune.Spec.ParamNames()
	return table{trialFields(names), func(w *tableWriter) error {
		for _, t := range trials {
			w.Int(0, int64(t.Index))
			w.Text(1, string(t.Status))
			for k, name := range names {
				w.Float(2+k, t.Params[name])
			}
			if err := w.figures(2+len(names), sweep.Trial{
				Score: t.Score, ScoreIS: t.ScoreIS, ScoreOOS: t.ScoreOOS, OverfitGap: t.OverfitGap, ReturnPctIS: t.ReturnPctIS, ReturnPctOOS: t.ReturnPctOOS,
				MaxDrawdownIS: t.MaxDrawdownIS, MaxDrawdownOOS: t.MaxDrawdownOOS, TradesIS: t.TradesIS, TradesOOS: t.TradesOOS, Reason: t.Reason,
			}); err != nil {
				return err
			}
		}
		return nil
	}}
}

// metricFields are the figures of a part of the bars.
func metricFields(suffix string) (fields []columns.Field) {
	for _, name := range []string{"return_pct", "cagr_pct", "max_drawdown_pct", "sharpe", "sortino", "calmar", "profit_factor", "win_rate_pct"} {
		fields = append(fields, columns.Field{Name: name + suffix})
	}
	return append(fields, columns.Field{Name: "trades" + suffix, Kind: columns.Int})
}

func metricValues(m *backtest.Metrics) []any {
	if m == nil {
		return make([]any, len(metricFields("")))
	}
	return []any{m.ReturnPct, m.CAGRPct, m.MaxDrawdownPct, m.Sharpe, m.Sortino, m.Calmar, m.ProfitFactor, m.WinRatePct, m.Trades}
}

// leaderboardTable is a tune's leaderboard: a column a parameter, and the figures of both parts.
func leaderboardTable(names []string, entries []json.RawMessage) table {
	head := []columns.Field{{Name: "rank", Kind: columns.Int}, {Name: "trial_index", Kind: columns.Int}}
	tail := slices.Concat([]columns.Field{{Name: "score"}, {Name: "score_is"}, {Name: "score_oos"}, {Name: "overfit_gap"}}, metricFields("_is"), metricFields("_oos"))
	return table{slices.Concat(head, paramFields(names, append(head, tail...)...), tail), func(w *tableWriter) error {
		for _, raw := range entries {
			var e sweep.Entry
			if err := json.Unmarshal(raw, &e); err != nil {
				return fmt.Errorf("decode entry: %w", err)
			}
			row := []any{e.Rank, e.TrialIndex}
			for _, name := range names {
				row = append(row, e.Params[name])
			}
			row = append(row, e.Score, e.ScoreIS, e.ScoreOOS, e.OverfitGap)
			if err := w.Add(slices.Concat(row, metricValues(&e.MetricsIS), metricValues(e.MetricsOOS))...); err != nil {
				return err
			}
		}
		return nil
	}}
}

// standingsTable is the workspace's leaderboard; params are JSON, as each strategy has its own.
func standingsTable(views []types.Standing) table {
	fields := slices.Concat([]columns.Field{
		{Name: "tune_id", Kind: columns.Text}, {Name: "dataset", Kind: columns.Word}, {Name: "strategy_name", Kind: columns.Word}, {Name: "rank_in_tune", Kind: columns.Int},
		{Name: "trial_index", Kind: columns.Int}, {Name: "params", Kind: columns.Text}, {Name: "score"}, {Name: "score_is"}, {Name: "score_oos"}, {Name: "overfit_gap"},
	}, metricFields(""))
	return table{fields, func(w *tableWriter) error {
		for _, v := range views {
			var e sweep.Entry
			if err := json.Unmarshal(v.Entry.JSON(), &e); err != nil {
				return fmt.Errorf("decode standing: %w", err)
			}
			params, err := json.Marshal(e.Params)
			if err != nil {
				return fmt.Errorf("encode parameters: %w", err)
			}
			judged := e.MetricsOOS
			if judged == nil {
				judged = &e.MetricsIS
			}
			row := []any{v.TuneID, v.Dataset, v.StrategyName, v.RankInTune, e.TrialIndex, string(params), v.Score, e.ScoreIS, e.ScoreOOS, e.OverfitGap}
			if err := w.Add(append(row, metricValues(judged)...)...); err != nil {
				return err
			}
		}
		return nil
	}}
}

// candidatesTable is a walk-forward's candidates: a column a parameter, and one a fold.
func candidatesTable(names []string, entries []types.Stored[types.Candidate]) (table, error) {
	found := make([]sweep.Candidate, len(entries))
	folds := 0
	for i, entry := range entries {
		if err := json.Unmarshal(entry.JSON(), &found[i]); err != nil {
			return table{}, fmt.Errorf("decode candidate: %w", err)
		}
		folds = max(folds, len(found[i].FoldScores))
	}
	head := []columns.Field{{Name: "rank", Kind: columns.Int}}
	tail := []columns.Field{{Name: "eligible", Kind: columns.Bool}, {Name: "coverage"}, {Name: "selection_score"}, {Name: "mean_oos"}, {Name: "median_oos"}, {Name: "worst_fold_oos"}, {Name: "stddev_oos"}}
	for fold := range folds {
		tail = append(tail, columns.Field{Name: "score_" + strconv.Itoa(fold)})
	}
	return table{slices.Concat(head, paramFields(names, append(head, tail...)...), tail), func(w *tableWriter) error {
		for _, e := range found {
			row := []any{e.Rank}
			for _, name := range names {
				row = append(row, e.Params[name])
			}
			row = append(row, e.Eligible, e.Coverage, e.SelectionScore, e.MeanOOS, e.MedianOOS, e.WorstOOS, e.StdDevOOS)
			for fold := range folds {
				if fold < len(e.FoldScores) {
					row = append(row, e.FoldScores[fold])
				} else {
					row = append(row, nil)
				}
			}
			if err := w.Add(row...); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

func tradesTable(trades []backtest.Trade) table {
	fields := []columns.Field{
		{Name: "side", Kind: columns.Word}, {Name: "size"}, {Name: "entry_bar", Kind: columns.Int}, {Name: "entry_time", Kind: columns.Time}, {Name: "entry_price"},
		{Name: "exit_bar", Kind: columns.Int}, {Name: "exit_time", Kind: columns.Time}, {Name: "exit_price"}, {Name: "pnl"}, {Name: "return_pct"},
		{Name: "exit_reason", Kind: columns.Word}, {Name: "entry_signal", Kind: columns.Word}, {Name: "exit_signal", Kind: columns.Word}, {Name: "runup"}, {Name: "drawdown"},
	}
	return table{fields, func(w *tableWriter) error {
		for _, t := range trades {
			if err := w.Add(string(t.Side), t.Size, t.EntryBar, t.EntryTime, t.EntryPrice, t.ExitBar, t.ExitTime, t.ExitPrice, t.PnL, t.ReturnPct,
				t.ExitReason, t.EntrySignal, t.ExitSignal, t.Runup, t.Drawdown); err != nil {
				return err
			}
		}
		return nil
	}}
}

// equityTable is an equity curve, or returns by their name.
func equityTable(name string, points []types.Equity) table {
	return table{[]columns.Field{{Name: "bar", Kind: columns.Int}, {Name: "time", Kind: columns.Time}, {Name: name}}, func(w *tableWriter) error {
		for _, p := range points {
			if err := w.Add(p.Bar, p.Time.UnixMicro(), p.Equity); err != nil {
				return err
			}
		}
		return nil
	}}
}

func barsTable(bars *backtest.Bars, from, to int) table {
	return table{[]columns.Field{{Name: "time", Kind: columns.Time}, {Name: "open"}, {Name: "high"}, {Name: "low"}, {Name: "close"}, {Name: "volume"}}, func(w *tableWriter) error {
		for i := from; i < to; i++ {
			if err := w.Add(bars.Time[i], bars.Open[i], bars.High[i], bars.Low[i], bars.Close[i], bars.Volume[i]); err != nil {
				return err
			}
		}
		return nil
	}}
}

// getTuneLeaderboard handles GET /backtests/tunes/:id/leaderboard.
func (s *Server) getTuneLeaderboard(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	tune, err := s.store.Tuning.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	entries, err := s.store.Tuning.LeaderboardOf(ctx, workspaceOf(c), id, limit)
	if err != nil {
		return err
	}
	if format != formatJSON {
		return s.writeTable(c, format, leaderboardTable(tune.Spec.ParamNames(), entries))
	}
	page := types.List[types.Stored[types.Entry]]{Items: []types.Stored[types.Entry]{}}
	for _, entry := range entries {
		page.Items = append(page.Items, types.NewStored[types.Entry](entry))
	}
	return ok(c, page)
}

// getBars handles GET /datasets/:id/bars: the id may be the dataset's name.
func (s *Server) getBars(c echo.Context) error {
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 1000, 1, 10_000)
	if err != nil {
		return err
	}
	from, err := trialCursor(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	dataset, err := s.store.Market.Dataset(ctx, workspaceOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	bars, _, err := s.store.Market.Bars(ctx, workspaceOf(c), dataset.ID)
	if err != nil {
		return err
	}
	from = min(from, bars.Len())
	to := min(from+limit, bars.Len())
	if format != formatJSON {
		if c.QueryParam("limit") == "" {
			to = bars.Len()
		} else if to < bars.Len() {
			linkNext(c, next(to))
		}
		return s.writeTable(c, format, barsTable(bars, from, to))
	}
	page := types.List[types.Bar]{Items: make([]types.Bar, 0, to-from)}
	for i := from; i < to; i++ {
		page.Items = append(page.Items, viewBar(bars, i))
	}
	if to < bars.Len() {
		page.NextCursor = next(to)
	}
	return ok(c, page)
}

// getRunReturns handles GET /backtests/runs/:id/returns.
func (s *Server) getRunReturns(c echo.Context) error {
	run, err := s.pathRun(c)
	if err != nil {
		return err
	}
	bars, _, err := s.store.Market.Bars(c.Request().Context(), workspaceOf(c), run.DatasetID)
	if err != nil {
		return err
	}
	var spec struct {
		Account struct {
			Cash float64 `json:"cash"`
		} `json:"account"`
	}
	if err := json.Unmarshal(run.Spec, &spec); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	window := backtest.Window{From: run.FirstBar, To: run.FirstBar + len(run.Equity)}
	return s.answerReturns(c, bars, window, spec.Account.Cash, run.Equity)
}

// answerReturns answers with the returns of a curve, as figures are computed from: those of days, or of bars
// when bars are a day or longer.
func (s *Server) answerReturns(c echo.Context, bars *backtest.Bars, window backtest.Window, start float64, equity []float64) error {
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	returns := bars.AppendReturns(nil, window, start, equity)
	points := make([]types.Equity, len(returns))
	items := make([]types.Return, len(returns))
	for i, end := range bars.PeriodEnds(window) {
		at := time.UnixMicro(bars.Time[end]).UTC()
		points[i] = types.Equity{Bar: end, Time: at, Equity: returns[i]}
		items[i] = types.Return{Bar: end, Time: at, Return: returns[i]}
	}
	if format != formatJSON {
		return s.writeTable(c, format, equityTable("return", points))
	}
	return ok(c, types.List[types.Return]{Items: items})
}
