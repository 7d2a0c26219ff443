package pine

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/golden"
)

// mathsScript uses every mathematical function, and indicators of each kind.
const mathsScript = `//@version=6
strategy("maths", slippage=2, commission_type=strategy.commission.percent, commission_value=0.05)
x = math.log(close / open) + math.exp(-close / 100) + math.pow(close, 0.3) + math.sqrt(high - low)
y = math.sin(bar_index) + math.cos(bar_index) + math.tan(bar_index / 7) + math.asin(0.3) + math.acos(0.3) + math.atan(x)
z = ta.alma(close, 9, 0.85, 6) + ta.linreg(close, 20, 0) + ta.stdev(close, 20) + ta.rsi(close, 14) + math.log10(volume + 1)
level = ta.sma(x + y + z, 5)
if ta.crossover(x + y + z, level)
    strategy.entry("L", strategy.long, qty=math.round(z / 10, 2))
if ta.crossunder(x + y + z, level)
    strategy.close("L")
`

// TestResultsChangeOnlyWithTheNumberOfSemantics holds one script of each class.
func TestResultsChangeOnlyWithTheNumberOfSemantics(t *testing.T) {
	t.Parallel()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	bars = bars.Slice(0, 2000)
	type result struct {
		Metrics backtest.Metrics
		Trades  []backtest.Trade
		Equity  []float64
	}
	hashes, classes := map[string]string{}, map[string]bool{}
	for name, source := range map[string]string{"cross": crossScript, "bracket": bracketScript, "residue": residueScript, "maths": mathsScript} {
		program, diags := Compile(source)
		require.False(t, diags.HasErrors(), "%s: %v", name, diags)
		s := NewStrategy("pine:"+name+"@1", program)
		trader := backtest.NewTrader(bars, s, backtest.Config{
			Side: backtest.SideBoth, Account: s.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
		})
		params, faults := backtest.CheckParams(s, nil)
		require.Empty(t, faults)
		trader.Prepare(params)
		var results []result
		for _, w := range []backtest.Window{{To: bars.Len()}, {From: 700, To: 1400}} {
			var r result
			trader.Simulate(w, &r.Metrics)
			r.Trades, r.Equity = trader.Trace(w)
			require.NoError(t, trader.Err())
			require.NotEmpty(t, r.Trades, name)
			results = append(results, r)
		}
		classes[program.Class()] = true
		hashes[name+" of class "+program.Class()], err = golden.Sum(results)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]bool{"S": true, "B": true, "P": true}, classes)
	require.NoError(t, golden.Check("testdata/results.json", backtest.Engine+"/"+Semantics, "pine.Semantics (or backtest.Engine)", hashes,
		os.Getenv(golden.WriteEnv) != ""))
}
