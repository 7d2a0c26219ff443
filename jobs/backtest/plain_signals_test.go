package backtest_test

import (
	"math"
	"math/big"

	"millrace/jobs/backtest"
)

// plainSignals are the strategies written from their descriptions, each bar on its own and without
// regard for speed: the reference for the engine's own.
var plainSignals = map[string]func(b *backtest.Bars, p backtest.Params, i int) int{
	"sma_cross": func(b *backtest.Bars, p backtest.Params, i int) int {
		return plainCross(func(i int) float64 { return plainMean(b.Close, int(p[0]), i) - plainMean(b.Close, int(p[1]), i) }, i)
	},
	"ema_cross": func(b *backtest.Bars, p backtest.Params, i int) int {
		return plainCross(func(i int) float64 { return plainEMA(b.Close, int(p[0]), i) - plainEMA(b.Close, int(p[1]), i) }, i)
	},
	"macd_cross": func(b *backtest.Bars, p backtest.Params, i int) int {
		macd := make([]float64, i+1)
		for k := range macd {
			macd[k] = plainEMA(b.Close, int(p[0]), k) - plainEMA(b.Close, int(p[1]), k)
		}
		return plainCross(func(i int) float64 { return macd[i] - plainEMA(macd, int(p[2]), i) }, i)
	},
	"rsi_reversal": func(b *backtest.Bars, p backtest.Params, i int) int {
		if i == 0 {
			return 0
		}
		before, now := plainRSI(b.Close, int(p[0]), i-1), plainRSI(b.Close, int(p[0]), i)
		switch {
		case before <= p[1] && now > p[1]:
			return 1
		case before >= p[2] && now < p[2]:
			return -1
		}
		return 0
	},
	"bb_reversal": func(b *backtest.Bars, p backtest.Params, i int) int {
		n := int(p[0])
		if i < n {
			return 0
		}
		band := func(i int, side float64) float64 {
			return plainMean(b.Close, n, i) + side*p[1]*plainDeviation(b.Close, n, i)
		}
		switch {
		case b.Close[i-1] < band(i-1, -1) && b.Close[i] > band(i, -1):
			return 1
		case b.Close[i-1] > band(i-1, 1) && b.Close[i] < band(i, 1):
			return -1
		}
		return 0
	},
	"donchian_breakout": func(b *backtest.Bars, p backtest.Params, i int) int {
		switch {
		case b.Close[i] > plainHighest(b.High, int(p[0]), i-1):
			return 1
		case b.Close[i] < -plainHighest(negated(b.Low), int(p[1]), i-1):
			return -1
		}
		return 0
	},
	"breakout_52w_high": func(b *backtest.Bars, p backtest.Params, i int) int {
		n := int(p[1])
		switch {
		case b.Close[i] > plainHighest(b.High, int(p[0]), i-1):
			return 1
		case i > 0 && b.Close[i] < plainMean(b.Close, n, i) && b.Close[i-1] >= plainMean(b.Close, n, i-1):
			return -1
		}
		return 0
	},
	"orb": func(b *backtest.Bars, p backtest.Params, i int) int {
		const day = 86_400_000_000
		if b.Len() < 2 || b.Time[1]-b.Time[0] >= day {
			return 0
		}
		first := i
		for first > 0 && b.Time[first-1]/day == b.Time[i]/day {
			first--
		}
		opening := first + int(p[0])
		if i < opening {
			return 0
		}
		high, low := plainHighest(b.High, int(p[0]), opening-1), -plainHighest(negated(b.Low), int(p[0]), opening-1)
		for k := opening; k < i; k++ {
			if b.Close[k] > high || b.Close[k] < low {
				return 0 // the day's trade was made
			}
		}
		switch {
		case b.Close[i] > high:
			return 1
		case b.Close[i] < low:
			return -1
		}
		return 0
	},
}

// plainCross is +1 where the difference rises above zero on bar i, −1 where it falls below.
func plainCross(difference func(int) float64, i int) int {
	if i == 0 {
		return 0
	}
	before, now := difference(i-1), difference(i)
	switch {
	case math.IsNaN(before):
		return 0
	case now > 0 && before <= 0:
		return 1
	case now < 0 && before >= 0:
		return -1
	}
	return 0
}

// plainMean sums exactly and rounds once before the division.
func plainMean(values []float64, n, i int) float64 {
	if i < n-1 {
		return math.NaN()
	}
	sum := new(big.Float).SetPrec(400)
	for _, v := range values[i-n+1 : i+1] {
		sum.Add(sum, big.NewFloat(v))
	}
	total, _ := sum.Float64()
	return total / float64(n)
}

func plainDeviation(values []float64, n, i int) float64 {
	mean, squares := plainMean(values, n, i), 0.0
	for _, v := range values[i-n+1 : i+1] {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / float64(n))
}

func plainEMA(values []float64, n, i int) float64 {
	from := 0
	for from <= i && math.IsNaN(values[from]) {
		from++
	}
	if i < from+n-1 {
		return math.NaN()
	}
	var sum float64
	for _, v := range values[from : from+n] {
		sum += v
	}
	last := sum / float64(n)
	for _, v := range values[from+n : i+1] {
		last += 2 / float64(n+1) * (v - last)
	}
	return last
}

func plainRSI(closes []float64, n, i int) float64 {
	if i < n {
		return math.NaN()
	}
	var gain, loss float64
	for k := 1; k <= i; k++ {
		up, down := max(closes[k]-closes[k-1], 0), max(closes[k-1]-closes[k], 0)
		if k <= n {
			gain, loss = gain+up/float64(n), loss+down/float64(n)
		} else {
			gain, loss = gain+(up-gain)/float64(n), loss+(down-loss)/float64(n)
		}
	}
	if gain+loss == 0 {
		return 50
	}
	return 100 * gain / (gain + loss)
}

func plainHighest(values []float64, n, i int) float64 {
	if i < n-1 {
		return math.NaN()
	}
	highest := values[i]
	for _, v := range values[i-n+1 : i+1] {
		highest = max(highest, v)
	}
	return highest
}

func negated(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = -v
	}
	return out
}

func plainATR(b *backtest.Bars, n, i int) float64 {
	if i < n-1 {
		return math.NaN()
	}
	var atr float64
	for k := 0; k <= i; k++ {
		span := b.High[k] - b.Low[k]
		if k > 0 {
			span = max(span, math.Abs(b.High[k]-b.Close[k-1]), math.Abs(b.Low[k]-b.Close[k-1]))
		}
		if k < n {
			atr += span / float64(n)
		} else {
			atr += (span - atr) / float64(n)
		}
	}
	return atr
}
