package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// RegimeSchema names the figures of a Regime, their windows and their rounding.
const RegimeSchema = "regime_v1_1"

const (
	regimeWindow = 200 // bars looked at, the last of them the newest
	// MinRegimeBars is the least number of bars that a regime can be computed from.
	MinRegimeBars = 50
)

// Regime is what the market was like over the last 200 bars before a decision. Two regimes with one
// fingerprint have the same vector.
type Regime struct {
	Schema      string       `json:"schema"` // RegimeSchema
	Vector      RegimeVector `json:"vector"`
	Tags        []string     `json:"tags"`        // of RegimeTags, in their order
	Fingerprint string       `json:"fingerprint"` // SHA-256 in hex of schema and vector
	Bars        int          `json:"bars"`        // looked at: 50 to 200
	At          time.Time    `json:"at"`          // of the last bar, UTC
	// Character is measured over more bars; nil for fewer than 100, for a regime of figures, and for one that was
	// stored before there were characters.
	Character *Character `json:"character,omitempty"`
}

// RegimeVector holds the figures, each rounded to four decimals.
type RegimeVector struct {
	ATRNorm       float64 `json:"atr_norm"`       // Wilder's average true range (14) over the close
	RSI           float64 `json:"rsi"`            // Wilder's relative strength index (14), 0 to 100
	BBWidth       float64 `json:"bb_width"`       // Bollinger bands (20, 2σ): upper less lower, over the middle
	ER            float64 `json:"er"`             // Kaufman's efficiency ratio (10), 0 to 1
	TrendStrength float64 `json:"trend_strength"` // R² of ln close on time (50) with the slope's sign, −1 to 1
	ZScore        float64 `json:"zscore"`         // the close less its mean (20), in standard deviations
}

// RegimeFeatures names the figures of RegimeVector.Values, in their order.
func RegimeFeatures() []string {
	return []string{"atr_norm", "rsi", "bb_width", "er", "trend_strength", "zscore"}
}

// Values are the figures in the order of RegimeFeatures.
func (v RegimeVector) Values() [6]float64 {
	return [6]float64{v.ATRNorm, v.RSI, v.BBWidth, v.ER, v.TrendStrength, v.ZScore}
}

// Lengths of the figures' own windows, in bars.
const (
	regimeATR, regimeRSI        = 14, 14
	regimeBands, regimeER       = 20, 10 // Kaufman's own length
	regimeTrend, regimeZ        = 50, 20
	regimeBandWidth             = 4 // two deviations on each side
	strongTrend, weakTrend      = 0.6, 0.3
	lowVolatility, highVolatile = 0.005, 0.015 // ATR over close
	noisyER, efficientER        = 0.3, 0.7
	stretchedZ                  = 1.5
	lowRSI, highRSI             = 30, 70
)

// RegimeTags lists the tags that a regime can have.
func RegimeTags() []string {
	return []string{
		"uptrend", "downtrend", "trending", "flat", "low_volatility", "high_volatility", "noisy", "efficient", "oversold", "overbought",
	}
}

// NewRegime looks at the 200 bars before the end-th, or at as many as there are. Fewer than 50 are
// an error.
func NewRegime(bars *backtest.Bars, end int) (*Regime, error) {
	from := max(0, end-regimeWindow)
	n := end - from
	if n < MinRegimeBars {
		return nil, fmt.Errorf("%d bars are fewer than the %d that a regime needs", n, MinRegimeBars)
	}
	r := &Regime{
		Schema: RegimeSchema, Vector: measure(bars.Slice(from, end)), Bars: n,
		At: time.UnixMicro(bars.Time[end-1]).UTC(), Character: NewCharacter(bars, end),
	}
	r.Tags = r.Vector.tags()
	r.Fingerprint = r.Vector.fingerprint()
	return r, nil
}

// RegimeOf makes a regime of its figures instead of bars.
func RegimeOf(v RegimeVector) *Regime {
	v.round()
	return &Regime{Schema: RegimeSchema, Vector: v, Tags: v.tags(), Fingerprint: v.fingerprint()}
}

// round leaves four decimals.
func (v *RegimeVector) round() {
	for _, figure := range []*float64{&v.ATRNorm, &v.RSI, &v.BBWidth, &v.ER, &v.TrendStrength, &v.ZScore} {
		*figure = math.Round(*figure*1e4)/1e4 + 0 // never −0
	}
}

// measure computes the figures from these bars alone, so that they do not depend on how much
// history a dataset has before them.
func measure(b *backtest.Bars) RegimeVector {
	ind, last := backtest.NewIndicators(b), b.Len()-1
	price := b.Close[last]
	mean, deviation := ind.SMA(regimeBands)[last], ind.Deviation(regimeBands)[last]
	v := RegimeVector{
		ATRNorm: ind.ATR(regimeATR)[last] / price,
		RSI:     ind.RSI(regimeRSI)[last],
		BBWidth: regimeBandWidth * deviation / mean,
		ER:      efficiency(b.Close[last-regimeER:]),
	}
	v.TrendStrength = trend(b.Close[last+1-regimeTrend:])
	if d := ind.Deviation(regimeZ)[last]; d > 1e-12*price {
		v.ZScore = (price - ind.SMA(regimeZ)[last]) / d
	}
	v.round()
	return v
}

// efficiency is the distance covered over the way gone (Kaufman, "Smarter Trading", 1995); 0 when
// nothing moved.
func efficiency(closes []float64) float64 {
	var way float64
	for i := 1; i < len(closes); i++ {
		way += math.Abs(closes[i] - closes[i-1])
	}
	if way == 0 {
		return 0
	}
	return math.Abs(closes[len(closes)-1]-closes[0]) / way
}

// trend is the share of the variance of ln close that a straight line in time explains, with the
// sign of its slope; 0 when nothing moved.
func trend(closes []float64) float64 {
	n := float64(len(closes))
	var mean float64
	for _, c := range closes {
		mean += portable.Log(c) / n
	}
	var xx, xy, yy float64
	for i, c := range closes {
		x, y := float64(i)-float64((n-1)/2), portable.Log(c)-mean
		xx, xy, yy = xx+float64(x*x), xy+float64(x*y), yy+float64(y*y)
	}
	if yy <= 1e-24 {
		return 0
	}
	return math.Copysign(xy*xy/(xx*yy), xy)
}

// tags names what stands out. A trend has its direction from weakTrend on, and is "trending" from
// strongTrend on; stretched one way by one measure and the other way by the other is neither.
func (v RegimeVector) tags() []string {
	strength := math.Abs(v.TrendStrength)
	oversold := v.ZScore <= -stretchedZ || v.RSI <= lowRSI
	overbought := v.ZScore >= stretchedZ || v.RSI >= highRSI
	holds := map[string]bool{
		"uptrend": v.TrendStrength >= weakTrend, "downtrend": v.TrendStrength <= -weakTrend,
		"trending": strength >= strongTrend, "flat": strength < weakTrend,
		"low_volatility": v.ATRNorm < lowVolatility, "high_volatility": v.ATRNorm > highVolatile,
		"noisy": v.ER < noisyER, "efficient": v.ER > efficientER,
		"oversold": oversold && !overbought, "overbought": overbought && !oversold,
	}
	tags := []string{}
	for _, tag := range RegimeTags() {
		if holds[tag] {
			tags = append(tags, tag)
		}
	}
	return tags
}

// fingerprint hashes the schema and each figure with its name and four decimals, one a line.
func (v RegimeVector) fingerprint() string {
	var text strings.Builder
	text.WriteString(RegimeSchema + "\n")
	values := v.Values()
	for i, name := range RegimeFeatures() {
		fmt.Fprintf(&text, "%s=%.4f\n", name, values[i])
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
}

// Regime is the market's as it was when the parameters were chosen: at the end of the in-sample
// part, so that it holds nothing of the bars they were then judged on.
func (p *Plan) Regime() (*Regime, error) { return NewRegime(p.history, p.offset+p.is.To) }
