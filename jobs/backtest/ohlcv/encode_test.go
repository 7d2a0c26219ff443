package ohlcv_test

import (
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
)

func sampleBars(t testing.TB) *backtest.Bars {
	t.Helper()
	b, err := pricefile.Sample()
	require.NoError(t, err)
	return b
}

func TestSample(t *testing.T) {
	t.Parallel()
	b := sampleBars(t)
	require.Equal(t, 5105, b.Len())
	require.Equal(t, time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC).UnixMicro(), b.Time[0])
	require.Equal(t, time.Date(2020, 4, 17, 0, 0, 0, 0, time.UTC).UnixMicro(), b.Time[5104])
	require.Equal(t, 1469.25, b.Open[0])
	require.Equal(t, 2874.560059, b.Close[5104])
	require.Equal(t, 5792140000.0, b.Volume[5104])
	ohlcv.Sample()[0] = 'X'
	require.Equal(t, byte('d'), ohlcv.Sample()[0], "a caller cannot change the sample")
}

func TestEncodeRoundTrip(t *testing.T) {
	t.Parallel()
	minute, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 7, Bars: 20_000, Interval: time.Minute})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		bars *backtest.Bars
		most float64 // bytes a bar
	}{
		"sample":    {sampleBars(t), 24},
		"synthetic": {minute, 9},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := ohlcv.Encode(tc.bars)
			require.NoError(t, err)
			require.Less(t, float64(len(data))/float64(tc.bars.Len()), tc.most, "bytes a bar")
			back, err := ohlcv.Decode(data)
			require.NoError(t, err)
			require.Equal(t, tc.bars, back)
			require.Equal(t, ohlcv.Sum(tc.bars), ohlcv.Sum(back))
			times, err := ohlcv.DecodeTimes(data)
			require.NoError(t, err)
			require.Equal(t, tc.bars.Time, times)
		})
	}
}

// The sums are what datasets are addressed by: they may never change.
func TestSumIsStable(t *testing.T) {
	t.Parallel()
	flat, sum := ohlcv.FlatSum(sampleBars(t)), ohlcv.Sum(sampleBars(t))
	require.Equal(t, "82b72717d1d29498cd931804fefdae4d53746d44a06ce129318035e9f775e246", hex.EncodeToString(flat[:]))
	require.Equal(t, "9da11365b95c32da3a9caf63d8b49faa2e331bdd59e851ee9c9e7a23361c6f32", hex.EncodeToString(sum[:]))
	require.True(t, ohlcv.Matches(sampleBars(t), flat[:]))
	require.True(t, ohlcv.Matches(sampleBars(t), sum[:]))
	changed := sampleBars(t)
	changed.Volume[17]++
	require.NotEqual(t, sum, ohlcv.Sum(changed))
}

// anyBars draws valid bars with awkward numbers.
func anyBars(t *rapid.T) *backtest.Bars {
	n := rapid.IntRange(1, 40).Draw(t, "bars")
	at := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "start")
	price := rapid.OneOf(rapid.Float64Range(1e-300, 1e300), rapid.Map(rapid.IntRange(1, 1e9), func(n int) float64 { return float64(n) / 100 }))
	volume := rapid.OneOf(rapid.Float64Range(0, 1e300), rapid.Just(0.0), rapid.Just(math.Copysign(0, -1)), rapid.Just(1e12))
	var b backtest.Bars
	for range n {
		o, c, x, y := price.Draw(t, "o"), price.Draw(t, "c"), price.Draw(t, "x"), price.Draw(t, "y")
		at += rapid.Int64Range(1, 1<<40).Draw(t, "step")
		b.Time = append(b.Time, at)
		b.Open, b.Close = append(b.Open, o), append(b.Close, c)
		b.High, b.Low = append(b.High, max(o, c, x, y)), append(b.Low, min(o, c, x, y))
		b.Volume = append(b.Volume, volume.Draw(t, "v"))
	}
	bars, err := backtest.NewBars(b.Time, b.Open, b.High, b.Low, b.Close, b.Volume)
	require.NoError(t, err)
	return bars
}

func TestEncodeRoundTripOfAnyBars(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := anyBars(t)
		data, err := ohlcv.Encode(b)
		require.NoError(t, err)
		back, err := ohlcv.Decode(data)
		require.NoError(t, err)
		require.Equal(t, ohlcv.Sum(b), ohlcv.Sum(back))
	})
}

func TestDecodeRejects(t *testing.T) {
	t.Parallel()
	good, err := ohlcv.Encode(sampleBars(t))
	require.NoError(t, err)
	huge := append([]byte("MRB1\xff\xff\xff\xff\x7f"), good[6:]...)
	few := append([]byte("MRB1\x05"), good[6:]...)
	for name, data := range map[string][]byte{
		"empty": nil, "magic only": []byte("MRB1"), "other": []byte("PAR1 and more"),
		"cut": good[:len(good)/2], "huge": huge, "more data than bars": few,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ohlcv.Decode(data)
			require.ErrorIs(t, err, ohlcv.ErrEncoding)
			if name != "more data than bars" { // their times are read from the beginning
				_, err = ohlcv.DecodeTimes(data)
				require.ErrorIs(t, err, ohlcv.ErrEncoding)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	b, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 5})
	require.NoError(f, err)
	good, err := ohlcv.Encode(b)
	require.NoError(f, err)
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ohlcv.Decode(data)
		times, timesErr := ohlcv.DecodeTimes(data)
		if timesErr != nil {
			require.ErrorIs(t, timesErr, ohlcv.ErrEncoding)
		}
		if err != nil {
			require.ErrorIs(t, err, ohlcv.ErrEncoding)
			return
		}
		require.NoError(t, timesErr)
		require.Equal(t, b.Time, times)
		again, err := ohlcv.Encode(b)
		require.NoError(t, err)
		back, err := ohlcv.Decode(again)
		require.NoError(t, err)
		require.Equal(t, ohlcv.Sum(b), ohlcv.Sum(back))
	})
}
