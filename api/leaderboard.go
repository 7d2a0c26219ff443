package api

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/columns"
	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store/strategies"
	"millrace/store/tuning"
)

// leaderboardParams are the parameters of GET /backtests/leaderboard. Limits are on the part that
// trials are judged on: out of sample where there is a split.
func leaderboardParams() []openapi.Param {
	number := func(name, doc string) openapi.Param { return inQuery(name, doc, openapi.Schema{"type": "number"}) }
	return paging(50, 1000, append(params(),
		oneOf("objective", sweep.Objectives()), text("strategy"), text("dataset"),
		inQuery("best_of_tune", "one entry a tune, its best", openapi.Schema{"type": "boolean"}),
		whole("min_trades", 0, 0, math.MaxInt32), number("max_drawdown_pct", "in percent"), number("min_return_pct", "in percent"),
		number("max_overfit_gap", "score in sample less score out of sample"))...)
}

// getLeaderboard handles GET /backtests/leaderboard: the best trials of the workspace under one
// objective.
func (s *Server) getLeaderboard(c echo.Context) error {
	limit, err := queryInt(c, "limit", 50, 1, 1000)
	if err != nil {
		return err
	}
	filter, err := s.leaderboardFilter(c)
	if err != nil {
		return err
	}
	after, err := queryStanding(c)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	found, err := s.store.Tuning.Leaderboard(c.Request().Context(), workspaceOf(c), filter, after, limit+1)
	if err != nil {
		return err
	}
	views := make([]types.Standing, len(found))
	for i, st := range found {
		views[i] = types.Standing{
			TuneID: st.TuneID.String(), Dataset: st.Datasets[0], Datasets: st.Datasets, StrategyName: st.Strategy, Score: st.Score, RankInTune: st.Rank,
			Entry: types.NewStored[types.Entry](st.Entry),
		}
	}
	page := paged(views, limit, func(v types.Standing) string {
		return packCursor(decimal(v.Score), v.TuneID, strconv.Itoa(v.RankInTune))
	})
	switch format {
	case formatJSON:
		return ok(c, page)
	case columns.Parquet, columns.Arrow:
		linkNext(c, page.NextCursor)
		return s.writeTable(c, format, standingsTable(page.Items))
	}
	rows, err := standingRows(page.Items)
	if err != nil {
		return err
	}
	linkNext(c, page.NextCursor)
	return writeCSV(c, rows)
}

func (s *Server) leaderboardFilter(c echo.Context) (tuning.LeaderboardFilter, error) {
	f := tuning.LeaderboardFilter{Objective: c.QueryParam("objective"), Strategy: c.QueryParam("strategy"), BestOfTune: c.QueryParam("best_of_tune") == "true"}
	if f.Objective == "" {
		f.Objective = string(sweep.ObjectiveSharpe)
	}
	if !slices.Contains(sweep.Objectives(), sweep.Objective(f.Objective)) {
		return f, badQuery("objective", fmt.Sprintf("%q is not an objective", f.Objective), sweep.Objectives())
	}
	if _, known := backtest.Lookup(f.Strategy); !known && f.Strategy != "" && !strategies.IsScript(f.Strategy) {
		return f, badQuery("strategy", fmt.Sprintf("%q is unknown", f.Strategy), nil)
	}
	if name := c.QueryParam("dataset"); name != "" {
		dataset, err := s.store.Market.Dataset(c.Request().Context(), workspaceOf(c), name)
		if err != nil {
			return f, datasetProblem("dataset", name, err)
		}
		if name == dataset.Name {
			f.Series = name // of all its versions
		} else {
			f.Dataset = dataset.ID
		}
	}
	var err error
	if f.MinTrades, err = queryInt(c, "min_trades", 0, 0, math.MaxInt32); err != nil {
		return f, err
	}
	for name, into := range map[string]**float64{
		"max_drawdown_pct": &f.MaxDrawdownPct, "min_return_pct": &f.MinReturnPct, "max_overfit_gap": &f.MaxOverfitGap,
	} {
		if *into, err = queryNumber(c, name); err != nil {
			return f, err
		}
	}
	return f, nil
}

// queryNumber reads a finite number of the query; nil when it is not there.
func queryNumber(c echo.Context, name string) (*float64, error) {
	text := c.QueryParam(name)
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, badQuery(name, "must be a number", nil)
	}
	return &v, nil
}

func queryStanding(c echo.Context) (tuning.StandingKey, error) {
	var key tuning.StandingKey
	text := c.QueryParam("cursor")
	if text == "" {
		return key, nil
	}
	parts, err := unpackCursor(text, 3)
	if err != nil {
		return key, err
	}
	score, scoreErr := strconv.ParseFloat(parts[0], 64)
	tune, tuneErr := uuid.Parse(parts[1])
	rank, rankErr := cursorInt(parts[2], 1)
	if scoreErr != nil || tuneErr != nil || rankErr != nil {
		return key, badCursor()
	}
	return tuning.StandingKey{Score: score, TuneID: tune, Rank: rank}, nil
}

// standingRows are the standings as CSV, with the figures of the part that trials are judged on.
func standingRows(views []types.Standing) ([][]string, error) {
	rows := [][]string{{
		"tune_id", "dataset", "strategy_name", "rank_in_tune", "trial_index", "score", "score_is", "score_oos", "overfit_gap",
		"return_pct", "max_drawdown_pct", "sharpe", "sortino", "calmar", "profit_factor", "win_rate_pct", "trades", "params",
	}}
	for _, v := range views {
		var e sweep.Entry
		if err := json.Unmarshal(v.Entry.JSON(), &e); err != nil {
			return nil, fmt.Errorf("decode standing: %w", err)
		}
		m := e.MetricsOOS
		if m == nil {
			m = &e.MetricsIS
		}
		params, err := json.Marshal(e.Params)
		if err != nil {
			return nil, fmt.Errorf("encode parameters: %w", err)
		}
		rows = append(rows, []string{
			v.TuneID, strings.Join(v.Datasets, ", "), v.StrategyName, strconv.Itoa(v.RankInTune), strconv.Itoa(e.TrialIndex), decimal(v.Score),
			optional(e.ScoreIS), optional(e.ScoreOOS), optional(e.OverfitGap),
			optional(finite(m.ReturnPct)), optional(finite(m.MaxDrawdownPct)), optional(finite(m.Sharpe)), optional(finite(m.Sortino)), optional(finite(m.Calmar)), optional(finite(m.ProfitFactor)),
			optional(finite(m.WinRatePct)), strconv.Itoa(m.Trades), string(params),
		})
	}
	return rows, nil
}
