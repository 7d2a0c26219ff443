package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/manifest"
)

// hours are bars of an hour, and those of a quarter of an hour that they are made of.
func hours(t *testing.T) (coarse, fine *backtest.Bars) {
	t.Helper()
	fine, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 5, Bars: 4 * 1200, Interval: 15 * time.Minute})
	require.NoError(t, err)
	var b backtest.Bars
	for i := 0; i < fine.Len(); i += 4 {
		high, low, volume := fine.High[i], fine.Low[i], 0.0
		for k := i; k < i+4; k++ {
			high, low, volume = max(high, fine.High[k]), min(low, fine.Low[k]), volume+fine.Volume[k]
		}
		b.Time, b.Open, b.High, b.Low = append(b.Time, fine.Time[i]), append(b.Open, fine.Open[i]), append(b.High, high), append(b.Low, low)
		b.Close, b.Volume = append(b.Close, fine.Close[i+3]), append(b.Volume, volume)
	}
	coarse, err = backtest.NewBars(b.Time, b.Open, b.High, b.Low, b.Close, b.Volume)
	require.NoError(t, err)
	return coarse, fine
}

// describe is a dataset as a manifest names it, and its bars packed.
func describe(t *testing.T, name, timeframe string, bars *backtest.Bars) (manifest.Dataset, []byte) {
	t.Helper()
	data, err := ohlcv.Encode(bars)
	require.NoError(t, err)
	return manifest.Dataset{Name: name, Timeframe: timeframe, Calendar: 365, Bars: bars.Len(), SHA256: manifest.BarsSum(bars)}, data
}

// followed is a run whose fills follow bars of a quarter of an hour, with all that it was made of.
func followed(t *testing.T) *manifest.Bundle {
	t.Helper()
	coarse, fine := hours(t)
	bars, err := coarse.WithDetail(fine)
	require.NoError(t, err)
	account := backtest.DefaultAccount()
	cfg := backtest.Config{
		Side: backtest.SideBoth, Account: account, Stops: &backtest.Stops{StopPct: 0.05, TargetPct: 0.05}, Policy: backtest.PolicyWorst, Seed: 1,
		Calendar: backtest.CalendarContinuous,
	}
	strategy, known := backtest.Lookup("donchian_breakout")
	require.True(t, known)
	params := map[string]float64{"entry": 10}
	checked, faults := backtest.CheckParams(strategy, params)
	require.Empty(t, faults)
	trader, whole := backtest.NewTrader(bars, strategy, cfg), backtest.Window{To: bars.Len()}
	var metrics backtest.Metrics
	trader.Prepare(checked)
	trader.Simulate(whole, &metrics)
	trades, equity := trader.Trace(whole)
	parts, err := manifest.OfRun(metrics, trades, equity)
	require.NoError(t, err)
	spec, err := json.Marshal(map[string]any{
		"dataset": "hours", "strategy_name": strategy.Name(), "params": params, "side": cfg.Side, "account": account, "stops": cfg.Stops,
		"intrabar_policy": cfg.Policy, "seed": 1, "intrabar_dataset": "0197f1a4-0000-7000-8000-000000000000",
	})
	require.NoError(t, err)
	result, err := manifest.NewResult(parts.Sums())
	require.NoError(t, err)
	b := &manifest.Bundle{Spec: spec, Parts: parts}
	of, data := describe(t, "hours", "1h", coarse)
	inside, packed := describe(t, "quarters", "15m", fine)
	b.Data, b.Intrabar = [][]byte{data}, packed
	b.Manifest = &manifest.Manifest{
		Format: manifest.Format, Kind: manifest.Run, ID: "one", Stamp: backtest.Stamp{Engine: backtest.Engine}, Spec: spec, Seed: 1,
		Datasets: []manifest.Dataset{of}, Intrabar: &inside, Program: manifest.ThisProgram("test"), Result: result,
	}
	body, err := b.Manifest.Canonical()
	require.NoError(t, err)
	b.Sum = manifest.Sum(body)
	return b
}

// The file of a result that follows bars inside its bars holds them, and it is made again of them.
func TestAResultThatFollowsBarsInsideItsBarsIsReproducedFromItsFile(t *testing.T) {
	t.Parallel()
	b, err := read(file(t, followed(t)))
	require.NoError(t, err)
	require.NoError(t, b.Check())
	report, err := b.Reproduce(t.Context(), program, unbound, 1)
	require.NoError(t, err)
	require.True(t, report.Same, "%v %s", report.Differs, report.First)
	require.Empty(t, report.Causes)

	// Other bars inside are named, whether they give other results or do not fit any more.
	fine, err := b.IntrabarBars()
	require.NoError(t, err)
	fine.Volume[3]++
	_, b.Intrabar = describe(t, "", "", fine)
	require.ErrorContains(t, b.Check(), "dataset quarters has the bars")
	report, err = b.Reproduce(t.Context(), program, unbound, 1)
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(report.Causes), "data: dataset quarters has the bars")
	_, b.Intrabar = describe(t, "", "", fine.Slice(0, 100))
	_, err = b.Reproduce(t.Context(), program, unbound, 1)
	require.ErrorContains(t, err, "intrabar dataset quarters: does not cover the bars")
	require.ErrorContains(t, err, "data: dataset quarters has the bars")

	// On an assumed path the same run has other trades.
	b.Manifest.Intrabar, b.Manifest.Spec = nil, bytes.Replace(b.Manifest.Spec, []byte(`"intrabar_dataset"`), []byte(`"notes"`), 1)
	report, err = b.Reproduce(t.Context(), program, unbound, 1)
	require.NoError(t, err)
	require.Contains(t, report.Differs, "trades")
	require.Contains(t, report.First, "donchian_breakout: equity[")
}

// A manifest of before named no bars inside others: what it describes is not made again on an assumed path.
func TestAResultWhoseManifestNamesNoBarsInsideItsBarsIsNotReproduced(t *testing.T) {
	t.Parallel()
	b := followed(t)
	b.Manifest.Intrabar = nil
	_, err := b.Reproduce(t.Context(), program, unbound, 1)
	require.ErrorContains(t, err, "submit it again")

	b = followed(t)
	b.Intrabar = nil // an empty file
	_, err = read(file(t, b))
	require.NoError(t, err)
	require.Error(t, b.Check())
}
