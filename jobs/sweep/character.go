package sweep

import (
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

const (
	// characterWindow is how many bars a Character looks at, the last of them the newest.
	characterWindow = 1000
	// MinCharacterBars is the least number of bars that a character can be measured from.
	MinCharacterBars = 100
)

// Character is how a market moves, over so many bars that it says more of the market than of the moment: what
// distinguishes a market whose moves continue from one whose moves are taken back. All of it is measured on the
// logarithms of the closes; figures are rounded to six decimals, and zero where nothing moves.
type Character struct {
	Bars            int     `json:"bars"`            // looked at: 100 to 1,000
	Volatility      float64 `json:"volatility"`      // standard deviation of a bar's return
	Drift           float64 `json:"drift"`           // mean return of a bar, over volatility
	Autocorrelation float64 `json:"autocorrelation"` // of successive returns, −1 to 1
	// The variance of returns over 5 and 20 bars over that of as many independent ones (Lo and MacKinlay 1988):
	// above 1 where moves continue, below 1 where they are taken back.
	VarianceRatio5  float64 `json:"variance_ratio_5"`
	VarianceRatio20 float64 `json:"variance_ratio_20"`
	Efficiency      float64 `json:"efficiency"` // Kaufman's efficiency ratio over 20 bars, on average
	Clustering      float64 `json:"clustering"` // autocorrelation of absolute returns, mean of lags 1 to 10
	Kurtosis        float64 `json:"kurtosis"`   // of returns; 3 for normal ones
	Shape           float64 `json:"shape"`      // mean range of a bar over its mean body, at most 1,000
}

// CharacterFigure is a figure of a Character as two of them are compared by it.
type CharacterFigure struct {
	Name  string
	Value float64
	// Noise is the figure's standard error times the root of the number of bars. Tolerance is a difference that
	// is of no account however many bars there are.
	Noise, Tolerance float64
}

// Figures are compared by the logarithm where a figure is a ratio. Noise was learnt: it is the spread of the
// figure over series of one kind, for twelve kinds of series, as `ops/docs/recommend.md` describes.
func (c Character) Figures() []CharacterFigure {
	ratio := func(x float64) float64 { return portable.Log(max(x, 1e-6)) }
	return []CharacterFigure{
		{"volatility", ratio(c.Volatility), 1.45, 0.2},
		{"drift", c.Drift, 1.3, 0.02},
		{"autocorrelation", c.Autocorrelation, 1.07, 0.02},
		{"variance_ratio_5", ratio(c.VarianceRatio5) / 2, 1.17, 0.04},
		{"variance_ratio_20", ratio(c.VarianceRatio20) / 2, 2.4, 0.06},
		{"efficiency", c.Efficiency, 0.66, 0.02},
		{"clustering", c.Clustering, 0.6, 0.02},
		{"kurtosis", ratio(c.Kurtosis), 6.6, 0.2},
		{"shape", ratio(c.Shape), 0.6, 0.03},
	}
}

// NewCharacter measures the 1,000 bars before the end-th, or as many as there are; nil for fewer than 100.
func NewCharacter(bars *backtest.Bars, end int) *Character {
	from := max(0, end-characterWindow)
	if end-from < MinCharacterBars {
		return nil
	}
	b := bars.Slice(from, end)
	logs := make([]float64, b.Len())
	for i, price := range b.Close {
		logs[i] = portable.Log(price)
	}
	returns := differences(logs, 1)
	c := &Character{Bars: b.Len(), Shape: shapeOf(b)}
	mean, variance := meanAndVariance(returns)
	if variance > 1e-24 {
		c.Volatility = math.Sqrt(variance)
		c.Drift = mean / c.Volatility
		c.Autocorrelation = autocorrelation(returns, 1)
		c.VarianceRatio5, c.VarianceRatio20 = varianceRatio(logs, 5, variance), varianceRatio(logs, 20, variance)
		c.Efficiency = meanEfficiency(b.Close)
		c.Clustering = clustering(returns)
		c.Kurtosis = kurtosis(returns, mean, variance)
	}
	c.round()
	return c
}

func (c *Character) round() {
	for _, figure := range []*float64{&c.Volatility, &c.Drift, &c.Autocorrelation, &c.VarianceRatio5, &c.VarianceRatio20,
		&c.Efficiency, &c.Clustering, &c.Kurtosis, &c.Shape} {
		*figure = math.Round(*figure*1e6)/1e6 + 0 // never −0
	}
}

func differences(x []float64, lag int) []float64 {
	d := make([]float64, len(x)-lag)
	for i := range d {
		d[i] = x[i+lag] - x[i]
	}
	return d
}

func meanAndVariance(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += float64((v - mean) * (v - mean))
	}
	return mean, variance / float64(len(x))
}

// autocorrelation is 0 where nothing varies.
func autocorrelation(x []float64, lag int) float64 {
	mean, variance := meanAndVariance(x)
	if variance <= 1e-24 {
		return 0
	}
	var sum float64
	for i := lag; i < len(x); i++ {
		sum += float64((x[i] - mean) * (x[i-lag] - mean))
	}
	return sum / (variance * float64(len(x)))
}

func varianceRatio(logs []float64, bars int, variance float64) float64 {
	_, longer := meanAndVariance(differences(logs, bars))
	return longer / (float64(bars) * variance)
}

func meanEfficiency(closes []float64) float64 {
	const bars, step = 20, 10
	var sum, n float64
	for i := 0; i+bars < len(closes); i += step {
		sum, n = sum+efficiency(closes[i:i+bars+1]), n+1
	}
	return sum / n
}

func clustering(returns []float64) float64 {
	const lags = 10
	size := make([]float64, len(returns))
	for i, r := range returns {
		size[i] = math.Abs(r)
	}
	var sum float64
	for lag := 1; lag <= lags; lag++ {
		sum += autocorrelation(size, lag)
	}
	return sum / lags
}

func kurtosis(x []float64, mean, variance float64) float64 {
	var sum float64
	for _, v := range x {
		square := (v - mean) * (v - mean) / variance
		sum += float64(square * square)
	}
	return sum / float64(len(x))
}

func shapeOf(b *backtest.Bars) float64 {
	var ranges, bodies float64
	for i := range b.Close {
		ranges, bodies = ranges+(b.High[i]-b.Low[i]), bodies+math.Abs(b.Close[i]-b.Open[i])
	}
	if ranges == 0 {
		return 0
	}
	return min(ranges/max(bodies, 1e-12*ranges), 1000)
}
