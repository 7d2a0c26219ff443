package sweep

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
)

func sample(tb testing.TB) *backtest.Bars {
	tb.Helper()
	bars, err := pricefile.Sample()
	require.NoError(tb, err)
	return bars
}

func TestRegimeAgreesWithIndependentFigures(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/regime.json")
	require.NoError(t, err)
	var golden []struct {
		End         int
		Vector      [6]float64
		Fingerprint string
	}
	require.NoError(t, json.Unmarshal(raw, &golden))
	require.Len(t, golden, 10)
	bars := sample(t)
	for _, want := range golden {
		got, err := NewRegime(bars, want.End)
		require.NoError(t, err)
		require.Equal(t, want.Vector, got.Vector.Values(), "before bar %d", want.End)
		require.Equal(t, want.Fingerprint, got.Fingerprint, "before bar %d", want.End)
		require.Equal(t, bars.Time[want.End-1], got.At.UnixMicro())
	}
}

func TestRegimeTagsFollowTheirThresholds(t *testing.T) {
	t.Parallel()
	quiet := RegimeVector{ATRNorm: 0.01, RSI: 50, BBWidth: 0.05, ER: 0.5, TrendStrength: 0.4}
	for _, test := range []struct {
		change func(*RegimeVector)
		want   []string
	}{
		{func(*RegimeVector) {}, []string{"uptrend"}},
		{func(v *RegimeVector) { v.TrendStrength = 0.3 }, []string{"uptrend"}},
		{func(v *RegimeVector) { v.TrendStrength = 0.2999 }, []string{"flat"}},
		{func(v *RegimeVector) { v.TrendStrength = -0.3 }, []string{"downtrend"}},
		{func(v *RegimeVector) { v.TrendStrength = -0.6 }, []string{"downtrend", "trending"}},
		{func(v *RegimeVector) { v.ATRNorm = 0.0049 }, []string{"uptrend", "low_volatility"}},
		{func(v *RegimeVector) { v.ATRNorm = 0.005 }, []string{"uptrend"}},
		{func(v *RegimeVector) { v.ATRNorm = 0.0151 }, []string{"uptrend", "high_volatility"}},
		{func(v *RegimeVector) { v.ER = 0.2999 }, []string{"uptrend", "noisy"}},
		{func(v *RegimeVector) { v.ER = 0.7001 }, []string{"uptrend", "efficient"}},
		{func(v *RegimeVector) { v.ZScore = -1.5 }, []string{"uptrend", "oversold"}},
		{func(v *RegimeVector) { v.RSI = 70 }, []string{"uptrend", "overbought"}},
		{func(v *RegimeVector) { v.RSI, v.ZScore = 71, -1.6 }, []string{"uptrend"}},
	} {
		v := quiet
		test.change(&v)
		require.Equal(t, test.want, v.tags(), "%+v", v)
	}
}

// Nothing but the bars of the window counts, and none after it.
func TestRegimeReadsItsWindowOnly(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 600, 3)
	want, err := NewRegime(bars, 400)
	require.NoError(t, err)
	alone, err := NewRegime(bars.Slice(200, 400), 200)
	require.NoError(t, err)
	require.Equal(t, 400, want.Character.Bars)
	require.Equal(t, 200, alone.Character.Bars)
	alone.Character = want.Character
	require.Equal(t, want, alone)
	next, err := NewRegime(bars, 401)
	require.NoError(t, err)
	require.NotEqual(t, want.Fingerprint, next.Fingerprint)
	_, err = NewRegime(bars, MinRegimeBars-1)
	require.ErrorContains(t, err, "49 bars are fewer than the 50")
}

func TestRegimeOfConstantPrices(t *testing.T) {
	t.Parallel()
	n := 60
	at, price, volume := make([]int64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		at[i], price[i] = int64(i)*86_400_000_000, 0.1
	}
	bars, err := backtest.NewBars(at, price, price, price, price, volume)
	require.NoError(t, err)
	r, err := NewRegime(bars, n)
	require.NoError(t, err)
	require.Equal(t, RegimeVector{RSI: 50}, r.Vector)
	require.Equal(t, []string{"flat", "low_volatility", "noisy"}, r.Tags)
}
