package api

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/columns"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/tradelist"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/requests"
)

// runRequest is the body of POST /backtests/run.
type runRequest struct {
	Dataset  string                  `json:"dataset"`
	Strategy string                  `json:"strategy_name"`
	Params   map[string]float64      `json:"params"`
	Side     backtest.Side           `json:"side"`
	Account  *backtest.Account       `json:"account"`
	Stops    *backtest.Stops         `json:"stops"`
	Policy   backtest.IntrabarPolicy `json:"intrabar_policy"`
	Seed     uint64                  `json:"seed"`
	Intrabar string                  `json:"intrabar_dataset,omitempty"` // of a lower timeframe, inside the bars
}

// runBacktest handles POST /backtests/run. One backtest takes milliseconds, so it is run here, with
// as many at once as there are cores.
func (s *Server) runBacktest(c echo.Context) error {
	account := backtest.DefaultAccount()
	req := runRequest{Side: backtest.SideBoth, Account: &account, Policy: backtest.PolicyWorst, Seed: 1}
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	script := sweep.Spec{StrategyName: req.Strategy}
	if err := s.bindScript(ctx, sub.Workspace, &script); err != nil {
		return err
	}
	strategy := script.Strategy()
	if strategy == nil {
		return unknownStrategy(req.Strategy)
	}
	dataset, err := s.store.Market.Dataset(ctx, sub.Workspace, req.Dataset)
	if err != nil {
		return datasetProblem("dataset", req.Dataset, err)
	}
	if req.Account == nil {
		req.Account = &account
	}
	cfg := backtest.Config{
		Side: req.Side, Account: *req.Account, Stops: req.Stops, Policy: req.Policy, Seed: req.Seed, Calendar: dataset.Calendar,
	}
	params, faults := backtest.CheckParams(strategy, req.Params)
	if own, ok := strategy.(backtest.Scripted); ok {
		if err := s.scriptAccount(c, own, &req, &cfg); err != nil {
			return err
		}
		faults = append(faults, backtest.CheckScripted(own, cfg)...)
	}
	if err := fieldProblems(append(faults, cfg.Validate()...)); err != nil {
		return err
	}
	bars, _, err := s.store.Market.Bars(ctx, sub.Workspace, dataset.ID)
	if err != nil {
		return err
	}
	if bars, err = s.intrabar(ctx, sub.Workspace, &req.Intrabar, dataset, bars); err != nil {
		return err
	}
	select {
	case s.runs <- struct{}{}:
		defer func() { <-s.runs }()
	case <-ctx.Done():
		return ctx.Err()
	}
	run := market.Run{
		DatasetID: dataset.ID, Dataset: dataset.FullName, Strategy: strategy.Name(), Seed: req.Seed, Script: script.Script,
		Stamp: script.Stamp(s.opts.Program),
	}
	if run.Spec, err = runSpec(req, script.Script, strategy, cfg, bars); err != nil {
		return err
	}
	runner := backtest.NewTrader(bars, strategy, cfg)
	whole := backtest.Window{To: bars.Len()}
	late := time.Now().Add(runTime)
	runner.OnStop(func() bool { return ctx.Err() != nil || time.Now().After(late) })
	runner.Prepare(params)
	runner.Simulate(whole, &run.Metrics)
	if err := runner.Err(); err != nil && ctx.Err() == nil {
		return fieldProblem("params", "the strategy fails on them: "+err.Error(), nil)
	}
	run.Trades, run.Equity = runner.Trace(whole)
	if err := runner.Err(); err != nil {
		return fmt.Errorf("run again: %w", errors.Join(err, ctx.Err()))
	}
	resp, err := s.store.Market.PutRun(ctx, sub, run, func(run *market.Run) (store.Response, error) {
		body, err := renderRun(run)
		return store.Response{Status: http.StatusCreated, Location: "/backtests/runs/" + run.ID.String(), Body: body}, err
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// runTime bounds one backtest in a request.
const runTime = 20 * time.Second

// scriptAccount completes the request's account by the script's own, and notes what it names.
func (s *Server) scriptAccount(c echo.Context, own backtest.Scripted, req *runRequest, cfg *backtest.Config) error {
	var named struct {
		Account sweep.AccountSpec `json:"account"`
	}
	sub, _ := c.Get(submittedKey).(submitted)
	if err := json.Unmarshal(sub.body, &named); err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	spec := sweep.Spec{StrategyName: own.Name(), Account: named.Account, Script: &sweep.Script{}}
	spec.Bind(own)
	cfg.Account, cfg.Override = spec.EffectiveAccount()
	req.Account = &cfg.Account
	return nil
}

// runSpec is what is stored of a run's request, with notes; of a script also its pin, its own remarks and
// what the request overrides.
func runSpec(req runRequest, script *sweep.Script, strategy backtest.Strategy, cfg backtest.Config, bars *backtest.Bars) (json.RawMessage, error) {
	var spec any = req
	if own, scripted := strategy.(backtest.Scripted); scripted {
		req.Strategy = own.Name()
		spec = struct {
			runRequest
			Script   *sweep.Script     `json:"script"`
			Override backtest.Override `json:"override"`
			Notes    []string          `json:"notes"`
		}{req, script, cfg.Override, backtest.ScriptNotes(own, cfg, bars)}
	} else if notes := backtest.DetailNotes(bars); notes != nil {
		spec = struct {
			runRequest
			Notes []string `json:"notes"`
		}{req, notes}
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode run: %w", err)
	}
	return raw, nil
}

func unknownStrategy(name string) error { return asFault(requests.UnknownStrategy(name)) }

// datasetProblem names the dataset that is not there; one of another workspace is not there either.
func datasetProblem(field, name string, err error) error {
	return asFault(requests.NoDataset(field, name, err))
}

func viewRun(run *market.Run) (types.Run, error) {
	metrics, err := viewMetrics(&run.Metrics)
	if err != nil {
		return types.Run{}, err
	}
	return types.Run{
		RunID: run.ID.String(), Dataset: run.Dataset, Strategy: run.Strategy, Spec: run.Spec, Metrics: *metrics, CreatedAt: run.CreatedAt.UTC(),
		ArchivedAt: utc(run.ArchivedAt),
	}, nil
}

// renderRun is the run in the bytes that its idempotency key keeps.
func renderRun(run *market.Run) ([]byte, error) {
	view, err := viewRun(run)
	if err != nil {
		return nil, err
	}
	return json.Marshal(view)
}

// listRuns handles GET /backtests/runs.
func (s *Server) listRuns(c echo.Context) error {
	page, err := queryPage(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 200)
	if err != nil {
		return err
	}
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	filter := market.RunFilter{Strategy: c.QueryParam("strategy"), Archived: &archived}
	found, err := s.store.Market.Runs(c.Request().Context(), workspaceOf(c), filter, page, limit+1)
	if err != nil {
		return err
	}
	kept := paged(found, limit, func(run *market.Run) string { return pageCursor(run.CreatedAt, run.ID) })
	views := types.List[types.Run]{Items: make([]types.Run, len(kept.Items)), NextCursor: kept.NextCursor}
	for i, run := range kept.Items {
		if views.Items[i], err = viewRun(run); err != nil {
			return err
		}
	}
	return ok(c, views)
}

func (s *Server) pathRun(c echo.Context) (*market.Run, error) {
	id, err := pathID(c)
	if err != nil {
		return nil, err
	}
	return s.store.Market.RunDetail(c.Request().Context(), workspaceOf(c), id)
}

// getRun handles GET /backtests/runs/:id.
func (s *Server) getRun(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	run, err := s.store.Market.Run(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	view, err := viewRun(run)
	if err != nil {
		return err
	}
	return ok(c, view)
}

// getRunTrades handles GET /backtests/runs/:id/trades.
func (s *Server) getRunTrades(c echo.Context) error {
	run, err := s.pathRun(c)
	if err != nil {
		return err
	}
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	switch format {
	case columns.CSV:
		return writeTrades(c, run)
	case columns.Parquet, columns.Arrow:
		return s.writeTable(c, format, tradesTable(run.Trades))
	}
	views := make([]types.Trade, len(run.Trades))
	for i, t := range run.Trades {
		views[i] = types.Trade{
			Side: types.Side(t.Side), Size: t.Size, EntryBar: t.EntryBar, EntryTime: time.UnixMicro(t.EntryTime).UTC(), EntryPrice: t.EntryPrice,
			ExitBar: t.ExitBar, ExitTime: time.UnixMicro(t.ExitTime).UTC(), ExitPrice: t.ExitPrice, PnL: t.PnL, ReturnPct: t.ReturnPct,
			ExitReason: t.ExitReason, EntrySignal: t.EntrySignal, ExitSignal: t.ExitSignal, Runup: t.Runup, Drawdown: t.Drawdown,
		}
	}
	return ok(c, types.List[types.Trade]{Items: views})
}

// writeTrades writes a run's trades in the columns of TradingView's list of trades.
func writeTrades(c echo.Context, run *market.Run) error {
	var spec struct {
		Account struct {
			Cash float64 `json:"cash"`
		} `json:"account"`
	}
	if err := json.Unmarshal(run.Spec, &spec); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().WriteHeader(http.StatusOK)
	return tradelist.Write(c.Response(), run.Trades, spec.Account.Cash)
}

// getRunEquity handles GET /backtests/runs/:id/equity.
func (s *Server) getRunEquity(c echo.Context) error {
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	run, err := s.pathRun(c)
	if err != nil {
		return err
	}
	bars, _, err := s.store.Market.Bars(c.Request().Context(), workspaceOf(c), run.DatasetID)
	if err != nil {
		return err
	}
	points := make([]types.Equity, len(run.Equity))
	for i, e := range run.Equity {
		points[i] = types.Equity{Bar: run.FirstBar + i, Time: time.UnixMicro(bars.Time[run.FirstBar+i]).UTC(), Equity: e}
	}
	if format != formatJSON {
		return s.writeTable(c, format, equityTable("equity", points))
	}
	return ok(c, types.List[types.Equity]{Items: points})
}

func writeCSV(c echo.Context, rows [][]string) error {
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().WriteHeader(http.StatusOK)
	return csv.NewWriter(c.Response()).WriteAll(rows)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
