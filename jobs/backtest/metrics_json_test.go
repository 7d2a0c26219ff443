package backtest

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Metrics are stored and hashed, so that their bytes are those of encoding/json for the documented form, and read back as the same.
func TestMetricsAreWrittenAsTheirDocumentedForm(t *testing.T) {
	t.Parallel()
	figure := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1000, 1000),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e21, 1e-6, 1e-7, 9.5e-10, 1e100, 5e-324}))
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, math.MaxInt32)
		m := Metrics{Bars: count.Draw(t, "bars"), Trades: count.Draw(t, "trades"), MaxDrawdownBars: count.Draw(t, "drawdown"),
			Periods: count.Draw(t, "periods"), UnpaidOrders: count.Draw(t, "unpaid")}
		form := metricsJSON{Bars: m.Bars, Trades: m.Trades, MaxDrawdownBars: m.MaxDrawdownBars, Periods: m.Periods, UnpaidOrders: m.UnpaidOrders}
		targets := form.targets()
		for i, f := range m.floats() {
			switch *f.value = figure.Draw(t, f.name); {
			case math.IsNaN(*f.value) || math.IsInf(*f.value, 0):
				if form.Undefined == nil {
					form.Undefined = map[string]string{}
				}
				if form.Undefined[f.name] = f.reason; math.IsInf(*f.value, 0) {
					form.Undefined[f.name] = overflow(f.name)
				}
			default:
				*targets[i] = f.value
			}
		}
		want, err := json.Marshal(form)
		require.NoError(t, err)
		got, err := json.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
		var back Metrics
		require.NoError(t, json.Unmarshal(got, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}
