package backtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From its warm-up on, a strategy on a part of the history trades as on the whole of it.
func TestWarmedUpSliceTradesLikeTheWholeHistory(t *testing.T) {
	t.Parallel()
	const n, from, to = 12_000, 9_000, 12_000
	rng := rand.New(rand.NewPCG(4, 4))
	at, volume := make([]int64, n), make([]float64, n)
	open, high, low, closes := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	price := 100.0
	for i := range n {
		at[i] = time.Date(2015, 1, 1, 7, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour).UnixMicro()
		open[i] = price
		price *= math.Exp(0.004 * rng.NormFloat64())
		closes[i] = price
		high[i], low[i] = max(open[i], price)*(1+0.001*rng.Float64()), min(open[i], price)*(1-0.001*rng.Float64())
	}
	bars, err := NewBars(at, open, high, low, closes, volume)
	require.NoError(t, err)
	for _, strategy := range Strategies() {
		for _, stops := range []*Stops{nil, {StopATR: 3, ATRPeriod: 30}} {
			params := make(Params, len(strategy.Params()))
			for i, spec := range strategy.Params() {
				params[i] = spec.Default
			}
			cfg := Config{Side: SideBoth, Account: DefaultAccount(), Stops: stops, Policy: PolicyWorst, Calendar: CalendarContinuous}
			whole := NewTrader(bars, strategy, cfg)
			whole.Prepare(params)
			want, wantEquity := whole.Trace(Window{from, to})
			require.NotEmpty(t, want, strategy.Name())

			first := from - Warmup(bars, strategy, params, stops)
			require.Positive(t, first)
			part := NewTrader(bars.Slice(first, to), strategy, cfg)
			part.Prepare(params)
			got, gotEquity := part.Trace(Window{from - first, to - first})
			require.Len(t, got, len(want), strategy.Name())
			for i := range got {
				require.Equal(t, want[i].EntryTime, got[i].EntryTime, "%s trade %d", strategy.Name(), i)
				require.Equal(t, want[i].ExitTime, got[i].ExitTime, "%s trade %d", strategy.Name(), i)
			}
			require.InDeltaSlice(t, wantEquity, gotEquity, 5, strategy.Name()) // of 10,000
			if stops == nil && (strategy.Name() == "sma_cross" || strategy.Name() == "donchian_breakout" || strategy.Name() == "orb") {
				require.Equal(t, wantEquity, gotEquity, strategy.Name())
			}
		}
	}
}
