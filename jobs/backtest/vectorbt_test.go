package backtest_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// Long positions of all the equity in fractions of a unit, as vectorbt trades them: see
// testdata/README.md.
func TestTradesEqualVectorbt(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/vectorbt.json")
	require.NoError(t, err)
	var runs []struct {
		Data           string             `json:"data"`
		Strategy       string             `json:"strategy"`
		Params         map[string]float64 `json:"params"`
		Trades         [][6]float64       `json:"trades"`
		Open           [][3]float64       `json:"open"`
		FinalEquity    float64            `json:"final_equity"`
		MaxDrawdownPct float64            `json:"max_drawdown_pct"`
	}
	require.NoError(t, json.Unmarshal(file, &runs))
	require.Len(t, runs, len(backtest.Strategies()))
	data := goldenData(t)
	for _, want := range runs {
		t.Run(want.Strategy, func(t *testing.T) {
			bars, cfg := data[want.Data], defaults(backtest.SideLong)
			cfg.Account.Size, cfg.Account.WholeUnits = 1, false
			whole := backtest.Window{To: bars.Len()}
			r := runner(t, bars, want.Strategy, want.Params, cfg)
			trades, _ := r.Trace(whole)
			require.Len(t, trades, len(want.Trades)+len(want.Open))
			for i, golden := range want.Trades {
				got := trades[i]
				require.Equal(t, int(golden[1]), got.EntryBar, "entry of trade %d", i)
				require.Equal(t, int(golden[3]), got.ExitBar, "exit of trade %d", i)
				for k, figure := range map[int]float64{0: got.Size, 2: got.EntryPrice, 4: got.ExitPrice} {
					require.InEpsilon(t, golden[k], figure, 1e-9, "figure %d of trade %d", k, i)
				}
				require.InDelta(t, golden[5], got.PnL, 1e-6)
			}
			// We close what is open on the last close, which costs one more commission.
			final, lastLeg := want.FinalEquity, 0.0
			for i := range want.Open {
				open := trades[len(want.Trades)+i]
				require.Equal(t, int(want.Open[i][1]), open.EntryBar)
				lastLeg = open.Size * open.ExitPrice * 0.002
			}
			var m backtest.Metrics
			r.Simulate(whole, &m)
			require.InEpsilon(t, final-lastLeg, m.FinalEquity, 1e-9)
			require.InDelta(t, want.MaxDrawdownPct, m.MaxDrawdownPct, 100*lastLeg/final+1e-9)
		})
	}
}
