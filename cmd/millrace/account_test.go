package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// Every flag of the account and of stops reaches the request, and what is not stated is left to the server.
func TestTheAccountIsStatedByFlags(t *testing.T) {
	parse := func(more ...string) types.TuneRequest {
		found, err := model(t).Parse(append([]string{"tune", "--data", "d", "--strategy", "sma_cross", "--param", "fast=5,10"}, more...))
		require.NoError(t, err)
		command, ok := found.Selected().Target.Addr().Interface().(*tuneCmd)
		require.True(t, ok)
		body, err := command.body()
		require.NoError(t, err)
		return body
	}
	plain := parse()
	require.Equal(t, types.AccountSpec{}, plain.Account)
	require.Nil(t, plain.Stops)
	body := parse("--cash", "5000", "--commission", "0.001", "--slippage", "0.0003", "--size", "0.5", "--no-whole-units", "--no-exclusive",
		"--stop", "8", "--target", "20", "--trail-atr", "3", "--atr-period", "21", "--policy", "best")
	require.Equal(t, types.AccountSpec{
		Cash: new(5000.0), Commission: &types.Commission{Fraction: 0.001}, Slippage: new(0.0003), Size: new(0.5), WholeUnits: new(false), Exclusive: new(false),
	}, body.Account)
	require.Equal(t, &types.Stops{StopPct: 8, TargetPct: 20, TrailATR: 3, ATRPeriod: 21}, body.Stops)
	require.Equal(t, types.IntrabarPolicy("best"), body.IntrabarPolicy)
	require.True(t, *parse("--whole-units").Account.WholeUnits)
}

// What the server says against a field is said of the flag that gave it.
func TestErrorsOfTheServerNameFlags(t *testing.T) {
	found, err := model(t).Parse([]string{"wfo", "--data", "d", "--strategy", "sma_cross", "--param", "fast=5,10", "--train-days", "9", "--test-days", "9"})
	require.NoError(t, err)
	for field, flag := range map[string]string{
		"account.whole_units": "--whole-units", "account.cash": "--cash", "gates.max_drawdown_pct": "--max-drawdown", "param_space.fast": "--param fast",
		"param_space.fast.low": "--param fast.low", "wfo_config.train_days": "--train-days", "wfo_config.leaderboard_top_k": "--top-k", "dataset": "--data",
		"datasets[1]": "datasets[1]", "n_trials": "--trials", "stops.stop_pct": "--stop", "constraints[0]": "--constraint [0]", "seed": "--seed", "body": "body",
	} {
		require.Equal(t, flag, flagOf(found.Selected(), field), field)
	}
}

// run, recommend and explain against a server: what they print in each form, their exit status, and errors by flags.
func TestRunRecommendAndExplain(t *testing.T) {
	v := newVerbs(t)
	v.ok("admin", "workspace", "create", "research")
	key := strings.TrimSpace(v.ok("admin", "key", "create", "research", "ci"))
	as := func(args ...string) []string { return append(args, "--api-key", key, "--url", v.url) }
	file := filepath.Join(t.TempDir(), "sp500.csv")
	require.NoError(t, os.WriteFile(file, ohlcv.Sample(), 0o600))
	v.ok(as("data", "upload", file, "--name", "sp500", "--symbol", "SPX", "--timeframe", "1d")...)

	run := []string{"run", "--data", "sp500", "--strategy", "sma_cross", "--param", "fast=20", "--param", "slow=100"}
	require.Regexp(t, `(?m)^sharpe +\d`, v.ok(as(run...)...))
	require.Regexp(t, `^figure,value\nrun,`, v.ok(as(append(run, "-o", "csv")...)...))
	made := func(more ...string) (view types.Run) {
		require.NoError(t, json.Unmarshal([]byte(v.ok(as(append(append(run, "-o", "json"), more...)...)...)), &view))
		return view
	}
	dear, free := made("--commission", "0.01"), made("--commission", "0", "--no-whole-units")
	require.Less(t, *dear.Metrics.FinalEquity, *free.Metrics.FinalEquity, "the commission does not count")
	require.Contains(t, v.ok(as("trades", dear.RunID)...), "entry price")

	status, _, errs := v.run(as(append(run, "--size=-1", "--whole-units")...)...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "--size: ")
	require.NotContains(t, errs, "account.size")
	status, _, errs = v.run(as("tune", "--data", "elsewhere", "--strategy", "sma_cross", "--param", "fast=5,10")...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "--data: ")
	status, _, errs = v.run(as("run", "--data", "sp500", "--strategy", "sma_cross", "--param", "fast")...)
	require.Equal(t, 2, status, errs)

	status, out, errs := v.run(as("recommend", "--strategy", "sma_cross", "--data", "sp500", "-o", "csv")...)
	require.Equal(t, 1, status, "there is no past trial, and no error: %s", errs)
	require.True(t, strings.HasPrefix(out, "rank,"), out)
	require.Contains(t, errs, "no past trial")
	status, _, errs = v.run(as("recommend", "--strategy", "sma_cross", "--data", "sp500", "--min-alike", "7")...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "--min-alike: ")
	status, _, errs = v.run(as("explain", "01900000-0000-7000-8000-000000000001")...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "404")
}
