package sweep

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// Entries of a leaderboard are stored and hashed, so that their bytes are those of encoding/json whatever is in them.
func TestEntriesAreWrittenAsEncodingJSONWritesThem(t *testing.T) {
	t.Parallel()
	number := rapid.Custom(func(t *rapid.T) float64 {
		size := rapid.SampledFrom([]float64{1, 1e-7, 1e-5, 1e-300, 1e19, 1e22, 0}).Draw(t, "size")
		return rapid.Float64Range(-100, 100).Draw(t, "number") * size
	})
	optional := rapid.Ptr(number, true)
	figure := rapid.OneOf(number, rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e21, 1e-6, 123456789}))
	metrics := rapid.Custom(func(t *rapid.T) backtest.Metrics {
		count := rapid.IntRange(0, 1<<30)
		data := (&backtest.Metrics{Bars: count.Draw(t, "bars"), Trades: count.Draw(t, "trades"), MaxDrawdownBars: count.Draw(t, "drawdown"),
			Periods: count.Draw(t, "periods"), UnpaidOrders: count.Draw(t, "unpaid")}).AppendBinary(nil)[:5*4]
		for len(data) < backtest.MetricsBytes {
			data = appendFloat(data, figure.Draw(t, "figure"))
		}
		m, _, err := backtest.DecodeMetrics(data)
		require.NoError(t, err)
		return m
	})
	rapid.Check(t, func(t *rapid.T) {
		var writer entryWriter
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			e := Entry{
				Rank: rapid.Int().Draw(t, "rank"), TrialIndex: rapid.Int().Draw(t, "trial"), Score: number.Draw(t, "score"),
				Params:  rapid.MapOfN(rapid.SampledFrom([]string{"fast", "slow", "Länge", `a "<b>"`, "z"}), number, 0, 4).Draw(t, "params"),
				ScoreIS: optional.Draw(t, "is"), ScoreOOS: optional.Draw(t, "oos"), OverfitGap: optional.Draw(t, "gap"),
				MetricsIS: metrics.Draw(t, "metrics"), MetricsOOS: rapid.Ptr(metrics, true).Draw(t, "out of sample"),
			}
			for range rapid.IntRange(0, 2).Draw(t, "datasets") {
				e.Datasets = append(e.Datasets, DatasetEntry{
					Dataset: rapid.String().Draw(t, "dataset"), ScoreIS: optional.Draw(t, "is"), ScoreOOS: optional.Draw(t, "oos"),
					MetricsIS: metrics.Draw(t, "metrics"), MetricsOOS: rapid.Ptr(metrics, true).Draw(t, "out of sample"),
				})
			}
			want, err := json.Marshal(&e)
			require.NoError(t, err)
			got, err := writer.body(&e)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		}
	})
	_, err := new(entryWriter).body(&Entry{Score: math.NaN(), Params: map[string]float64{}})
	require.Error(t, err)
}

func appendFloat(to []byte, f float64) []byte {
	for shift := 0; shift < 64; shift += 8 {
		to = append(to, byte(math.Float64bits(f)>>shift))
	}
	return to
}
