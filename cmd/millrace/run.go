package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"millrace/api/types"
)

// runCmd is the verb `run`: one backtest.
type runCmd struct {
	clientFlags
	rowFlags
	accountFlags
	stopFlags
	Data     string   `required:"" placeholder:"DATASET" api:"dataset" help:"Name or id of the dataset."`
	Strategy string   `required:"" api:"strategy_name" help:"Strategy, as listed by millrace strategies."`
	Param    []string `sep:"none" placeholder:"NAME=VALUE" api:"params" help:"Value of a parameter; by default the strategy's own. Repeatable."`
	Side     string   `placeholder:"both" help:"long, short or both."`
	Intrabar string   `placeholder:"NAME" api:"intrabar_dataset" help:"Dataset of a lower timeframe that takes the place of the assumed path inside a bar."`
	Seed     *uint64  `placeholder:"N" help:"Seed of what is random in fills."`
	Key      string   `placeholder:"KEY" api:"X-Idempotency-Key" help:"Idempotency key; by default a new one for each run."`
}

// Run runs the backtest and prints its figures.
func (c *runCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	var run types.Run
	if err := api.Create(ctx, "/backtests/run", c.Key, body, &run); err != nil {
		return err
	}
	return c.print(env.stdout, []string{"figure", "value"}, figuresOf(&run), run)
}

// body names what was stated only: the server knows the defaults.
func (c *runCmd) body() (map[string]any, error) {
	params := map[string]float64{}
	for _, text := range c.Param {
		name, value, ok := strings.Cut(text, "=")
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, configError{fmt.Errorf("--param %q: want NAME=VALUE, as in fast=20", text)}
		}
		params[name] = v
	}
	body := map[string]any{"dataset": c.Data, "strategy_name": c.Strategy, "params": params}
	for name, value := range map[string]string{"side": c.Side, "intrabar_policy": c.Policy, "intrabar_dataset": c.Intrabar} {
		if value != "" {
			body[name] = value
		}
	}
	if stops := c.stops(); stops != nil {
		body["stops"] = stops
	}
	if c.Seed != nil {
		body["seed"] = *c.Seed
	}
	account, given := map[string]any{}, c.account()
	for name, value := range map[string]*float64{"cash": given.Cash, "slippage": given.Slippage, "size": given.Size} {
		if value != nil {
			account[name] = *value
		}
	}
	for name, value := range map[string]*bool{"whole_units": given.WholeUnits, "exclusive": given.Exclusive} {
		if value != nil {
			account[name] = *value
		}
	}
	if given.Commission != nil {
		account["commission"] = given.Commission
	}
	if len(account) > 0 {
		body["account"] = account
	}
	return body, nil
}

// figuresOf are the rows of a run.
func figuresOf(run *types.Run) [][]string {
	m := &run.Metrics
	rows := [][]string{{"run", run.RunID}, {"dataset", run.Dataset}, {"strategy", run.Strategy}, {"trades", strconv.Itoa(m.Trades)}}
	for _, f := range []struct {
		name     string
		value    *float64
		decimals int
	}{
		{"return %", m.ReturnPct, 2}, {"buy and hold %", m.BuyHoldPct, 2}, {"CAGR %", m.CAGRPct, 2}, {"max drawdown %", m.MaxDrawdownPct, 2}, {"sharpe", m.Sharpe, 3},
		{"sortino", m.Sortino, 3}, {"calmar", m.Calmar, 3}, {"profit factor", m.ProfitFactor, 3}, {"win rate %", m.WinRatePct, 1}, {"exposure %", m.ExposurePct, 1},
		{"final equity", m.FinalEquity, 2},
	} {
		rows = append(rows, []string{f.name, figure(f.value, f.decimals)})
	}
	return rows
}
