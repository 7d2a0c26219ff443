package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/tradelist"
)

// pineRunCmd is the verb `pine run`.
type pineRunCmd struct {
	clientFlags
	barFlags
	File   string `arg:"" help:"The script."`
	Trades string `placeholder:"FILE" help:"Write the closed trades as CSV, in the columns of TradingView's list of trades; - is standard output."`
	Name   string `help:"Name under which a script that the workspace does not have is stored; by default made of its title. With --dataset."`
}

// Help shows the verb in use.
func (pineRunCmd) Help() string {
	return `Examples:
  millrace pine run means.pine --bars eth15m.csv
  millrace pine run means.pine --bars eth15m.csv --input "Fast Length=10" --trades trades.csv
  millrace pine run means.pine --dataset sp500 --input "Use Stop=true"`
}

// played is a run, here or on the server.
type played struct {
	title   string
	trades  []backtest.Trade
	figures runFigures
	notes   []string
	market  tradelist.Market
	capital float64
}

// runFigures are what is printed of a run's metrics; nil is undefined.
type runFigures struct {
	trades                                        int
	final, ret, drawdown, sharpe, winners, factor *float64
}

// Run runs the script and prints what came of it.
func (c *pineRunCmd) Run(ctx context.Context, env *environment) error {
	p, err := c.play(ctx, env, c.clientFlags, c.File, c.Name)
	if err != nil {
		return err
	}
	out := env.stdout
	if c.Trades == "-" {
		out = env.stderr
	}
	if err := p.print(out); err != nil {
		return err
	}
	return writeTrades(env, c.Trades, p.trades, p.capital)
}

// play runs a script where the flags say.
func (f *barFlags) play(ctx context.Context, env *environment, c clientFlags, path, name string) (*played, error) {
	source, err := readScript(path)
	if err != nil {
		return nil, err
	}
	if f.Dataset != "" {
		return f.playThere(ctx, env, c, path, name, source)
	}
	program, err := compileScript(env.stderr, path, source, false)
	if err != nil {
		return nil, err
	}
	l, err := f.load(program)
	if err != nil {
		return nil, err
	}
	m, trades, err := l.run(func() bool { return ctx.Err() != nil })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p := &played{
		title: program.Title(), trades: trades, market: tradelist.Market{Bars: l.bars, Tick: l.market.Tick}, capital: l.strategy.Account().Cash,
		figures: runFigures{
			trades: m.Trades, final: defined(m.FinalEquity), ret: defined(m.ReturnPct), drawdown: defined(m.MaxDrawdownPct),
			sharpe: defined(m.Sharpe), winners: defined(m.WinRatePct), factor: defined(m.ProfitFactor),
		},
	}
	p.notes = backtest.ScriptNotes(l.strategy, l.cfg, l.bars)
	return p, nil
}

func defined(v float64) *float64 {
	if v != v {
		return nil
	}
	return &v
}

// playThere has the server run it.
func (f *barFlags) playThere(ctx context.Context, env *environment, c clientFlags, path, name, source string) (*played, error) {
	if f.From != "" || f.To != "" || f.Tick != 0 {
		return nil, configError{fmt.Errorf("--from, --to and --tick go with --bars: a dataset is used as it is")}
	}
	api, err := c.open()
	if err != nil {
		return nil, err
	}
	strategy, err := stored(ctx, env, api, path, name, source)
	if err != nil {
		return nil, err
	}
	values, err := inputValues(paramsOf(strategy.Params), f.Input)
	if err != nil {
		return nil, err
	}
	run, err := api.Run(ctx, "", types.RunRequest{
		Dataset: f.Dataset, Strategy: strategy.Name, Params: values, Side: types.Side(backtest.SideBoth), Policy: types.IntrabarPolicy(backtest.PolicyWorst), Seed: 1, Intrabar: f.Intrabar,
	})
	if err != nil {
		return nil, err
	}
	rows, err := api.RunTrades(ctx, run.RunID)
	if err != nil {
		return nil, err
	}
	p := &played{title: strategy.Doc, figures: runFigures{
		trades: run.Metrics.Trades, final: run.Metrics.FinalEquity, ret: run.Metrics.ReturnPct, drawdown: run.Metrics.MaxDrawdownPct,
		sharpe: run.Metrics.Sharpe, winners: run.Metrics.WinRatePct, factor: run.Metrics.ProfitFactor,
	}}
	if strategy.Account != nil {
		p.capital = strategy.Account.Cash
	}
	p.trades = tradesOf(rows)
	var spec struct {
		Notes []string `json:"notes"`
	}
	if err := json.Unmarshal(run.Spec, &spec); err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	p.notes = spec.Notes
	return p, nil
}

// tradesOf are the engine's trades of those that the API gives.
func tradesOf(rows *types.List[types.Trade]) []backtest.Trade {
	trades := make([]backtest.Trade, len(rows.Items))
	for i, t := range rows.Items {
		trades[i] = backtest.Trade{
			Side: backtest.Side(t.Side), Size: t.Size, EntryBar: t.EntryBar, EntryTime: t.EntryTime.UnixMicro(), EntryPrice: t.EntryPrice,
			ExitBar: t.ExitBar, ExitTime: t.ExitTime.UnixMicro(), ExitPrice: t.ExitPrice, PnL: t.PnL, ReturnPct: t.ReturnPct, ExitReason: t.ExitReason,
			EntrySignal: t.EntrySignal, ExitSignal: t.ExitSignal, Runup: t.Runup, Drawdown: t.Drawdown,
		}
	}
	return trades
}

func (p *played) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d trades\n", printable(p.title), p.figures.trades)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	f := p.figures
	for _, row := range []struct {
		name string
		v    *float64
	}{
		{"final equity", f.final}, {"return %", f.ret}, {"max drawdown %", f.drawdown}, {"Sharpe", f.sharpe}, {"win rate %", f.winners}, {"profit factor", f.factor},
	} {
		fmt.Fprintf(table, "  %s\t%s\n", row.name, figure(row.v, 2))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range p.notes {
		fmt.Fprintln(w, "note: "+printable(note))
	}
	return nil
}

// writeTrades writes the list of trades to a file; "" is none, - is standard output.
func writeTrades(env *environment, to string, trades []backtest.Trade, capital float64) error {
	switch to {
	case "":
		return nil
	case "-":
		return tradelist.Write(env.stdout, trades, capital)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	err = tradelist.Write(file, trades, capital)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// pineTuneCmd is the verb `pine tune`.
type pineTuneCmd struct {
	clientFlags
	showFlags
	pineSearchFlags
	File string `arg:"" help:"The script."`
}

// Help shows the verb in use.
func (pineTuneCmd) Help() string {
	return `The script is uploaded when the workspace does not have it yet.

Examples:
  millrace pine tune means.pine --dataset sp500 --param "Fast Length=5:50:5" --param "Slow Length=20:200:10"
  millrace pine tune means.pine --dataset sp500 --param "MA Type=SMA,EMA" --param "Use Stop=true,false" --oos 0.3`
}

// Run uploads the script when it has to, starts the tune and follows it.
func (c *pineTuneCmd) Run(ctx context.Context, env *environment) error {
	source, err := readScript(c.File)
	if err != nil {
		return err
	}
	if _, err := compileScript(env.stderr, c.File, source, false); err != nil {
		return err
	}
	api, err := c.open()
	if err != nil {
		return err
	}
	strategy, err := stored(ctx, env, api, c.File, c.Name, source)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "%s\n", printable(strategy.Name))
	if !c.Detach {
		if strategy, err = examined(ctx, env, api, strategy); err != nil {
			return err
		}
		if e := strategy.Examination; e != nil && e.Refusal != "" {
			return printExamination(env.stderr, strategy)
		}
	}
	search := c.search(strategy.Name)
	body, err := search.body()
	if err != nil {
		return err
	}
	if len(body.ParamSpace) == 0 {
		body.ParamSpace = strategy.ParamSpace
	}
	body.OOSRatio = c.OOS
	submitted, err := api.SubmitTune(ctx, c.Key, body)
	if err != nil {
		return err
	}
	if c.Detach {
		_, err := fmt.Fprintln(env.stdout, submitted.TuneID)
		return err
	}
	return followTune(ctx, env, api, submitted.TuneID, c.showFlags)
}

// pineSearchFlags say what is searched and how; see searchFlags.
type pineSearchFlags struct {
	accountFlags
	Dataset     []string `required:"" placeholder:"NAME" help:"Name or id of the dataset; also several, as in A,B."`
	Name        string   `help:"Name under which a script that the workspace does not have is stored; by default made of its title."`
	Param       []string `api:"param_space" sep:"none" placeholder:"NAME=LOW:HIGH:STEP" help:"Values of an input: LOW:HIGH:STEP, LOW:HIGH, LOW:HIGH:log, A,B,C, options by name, or true,false. Repeatable; without any the suggested space of the script."`
	Constraint  []string `api:"constraints" sep:"none" placeholder:"EXPR" help:"Condition on the inputs, as in '\"Fast Length\" < \"Slow Length\"'. Repeatable."`
	Search      string   `api:"search_type" placeholder:"grid" help:"How the space is searched."`
	Intrabar    string   `api:"intrabar_dataset" placeholder:"NAME" help:"Dataset of a lower timeframe that takes the place of the assumed path inside a bar."`
	Prune       bool     `api:"pruning" help:"End trials early that do badly on few bars (successive halving)."`
	Trials      *int     `api:"n_trials" placeholder:"N" help:"Number of trials; a grid needs none."`
	Seed        *uint64  `placeholder:"N" help:"Seed of everything random."`
	Objective   string   `api:"objective_type" placeholder:"sharpe" help:"What trials are ranked by."`
	OOS         *float64 `api:"oos_ratio" name:"oos" placeholder:"RATIO" help:"Share of the bars kept for judging out of sample, up to 0.5."`
	MaxDrawdown *float64 `api:"gates.max_drawdown_pct" placeholder:"100" help:"Gate: deepest drawdown that is ranked, in percent; by default 100: no limit."`
	MinTrades   *int     `api:"gates.min_trades" placeholder:"5" help:"Gate: least number of trades that is ranked; 0 admits every trial."`
	Key         string   `api:"X-Idempotency-Key" placeholder:"KEY" help:"Idempotency key; by default a new one for each run."`
	Detach      bool     `help:"Submit and print the id, without waiting."`
}

func (f *pineSearchFlags) search(strategy string) *searchFlags {
	return &searchFlags{
		Data: f.Dataset, Strategy: strategy, Param: f.Param, Constraint: f.Constraint, Search: f.Search, Intrabar: f.Intrabar, Prune: f.Prune, Trials: f.Trials, Seed: f.Seed,
		Objective: f.Objective, accountFlags: f.accountFlags, MaxDrawdown: f.MaxDrawdown, MinTrades: f.MinTrades,
	}
}
