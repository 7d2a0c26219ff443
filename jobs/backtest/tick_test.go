package backtest_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
)

// Vendors print prices that were stored in single precision: the tick is that of the prices, not of the noise.
func TestTheTickOfPricesInSinglePrecisionIsThatOfThePrices(t *testing.T) {
	t.Parallel()
	sample := ohlcv.Sample()
	bars, _, err := pricefile.Read(bytes.NewReader(sample), int64(len(sample)), pricefile.Options{})
	require.NoError(t, err)
	require.Equal(t, 0.01, backtest.GuessTick(bars), "the bundled sample")
	found, _, guesses := bars.Describe(backtest.Instrument{}, 0)
	require.Equal(t, 0.01, found.TickSize)
	require.Contains(t, guesses, "tick_size 0.01: the step that all prices are multiples of")

	for _, test := range []struct {
		prices []float64
		tick   float64
	}{
		{[]float64{1438.359985, 1455.219971, 1397.430054}, 0.01},
		{[]float64{1.234567, 1.234571, 1.200001}, 1e-6},       // of a currency, with all its decimals
		{[]float64{1438.35998, 1455.21412, 1397.43005}, 1e-5}, // no noise of single precision
		{[]float64{65000.12345678, 65001.5, 64999.1}, 0.0001}, // so large that single precision would hide anything
		{[]float64{0.1234, 0.5, 0.25}, 0.0001},
		{[]float64{float64(float32(101.37)), float64(float32(99.1))}, 0.01},
	} {
		at := make([]int64, len(test.prices))
		for i := range at {
			at[i] = int64(i) * 86_400_000_000
		}
		bars, err := backtest.NewBars(at, test.prices, test.prices, test.prices, test.prices, make([]float64, len(at)))
		require.NoError(t, err)
		require.InEpsilon(t, test.tick, backtest.GuessTick(bars), 1e-9, "%v", test.prices)
	}
}
