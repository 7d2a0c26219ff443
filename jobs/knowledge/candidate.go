package knowledge

import (
	"math"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/portable"
	"millrace/jobs/sweep"
)

// Candidate is a past trial that parameters may be recommended from. Its figures are out of sample;
// one that is undefined is NaN.
type Candidate struct {
	TuneID     uuid.UUID
	TrialIndex int
	Rank       int // within its tune
	Dataset    string
	Symbol     string
	Timeframe  string
	Objective  string
	Params     map[string]float64
	Tags       []string // of the regime its parameters were chosen in
	Similarity float64  // of that regime to the one asked about, from 0 to 1

	Sharpe         float64
	ReturnPct      float64
	Calmar         float64
	MaxDrawdownPct float64
	Trades         int
	// OverfitGap is the Sharpe ratio in sample less that out of sample, so that a limit on it means
	// the same under every objective.
	OverfitGap float64
}

// NewCandidate reads an entry of a tune's leaderboard. It is false for one without an out-of-sample
// part: nothing is known of how it does on bars it was not chosen on.
func NewCandidate(e *sweep.Entry) (Candidate, bool) {
	oos := e.MetricsOOS
	if oos == nil {
		return Candidate{}, false
	}
	c := Candidate{
		TrialIndex: e.TrialIndex, Rank: e.Rank, Params: e.Params,
		Sharpe: oos.Sharpe, ReturnPct: oos.ReturnPct, Calmar: oos.Calmar, MaxDrawdownPct: oos.MaxDrawdownPct,
		Trades: oos.Trades, OverfitGap: e.MetricsIS.Sharpe - oos.Sharpe,
	}
	if math.IsInf(c.Calmar, 0) {
		c.Calmar = math.NaN() // overflowed: nothing to recommend by
	} else if math.IsNaN(c.Calmar) && c.MaxDrawdownPct == 0 && c.ReturnPct > 0 {
		c.Calmar = math.Inf(1) // it earned and never fell
	}
	return c, true
}

// regimeScales are the differences in each figure of a regime that count as one. Volatility is
// compared by its logarithm: 1 % against 2 % is as far as 2 % against 4 %.
var regimeScales = [6]float64{math.Ln2, 15, math.Ln2, 0.25, 0.4, 1}

// stateWeight is what the state of the last bars counts beside the market's character.
const stateWeight = 0.1

// Similarity compares two markets: exp(−d²/2), d² being the mean of the squared differences of their figures in
// scales of their own. It is 1 for the same, 0.61 where every figure is one scale apart, and 0.14 at two. Where the
// character of both is known it counts nine tenths, and the state of their last bars the rest. A character's
// scale is the figure's standard error in a series of so many bars, and a difference that is of no account.
func Similarity(a, b *sweep.Regime) float64 {
	state := stateDistance(a.Vector, b.Vector)
	if a.Character == nil || b.Character == nil {
		return portable.Exp(-state / 2)
	}
	character := characterDistance(a.Character, b.Character)
	return portable.Exp(-(float64((1-stateWeight)*character) + float64(stateWeight*state)) / 2)
}

func characterDistance(a, b *sweep.Character) float64 {
	x, y := a.Figures(), b.Figures()
	bars := 1/float64(a.Bars) + 1/float64(b.Bars)
	var sum float64
	for i, f := range x {
		d := f.Value - y[i].Value
		sum += float64(d*d) / (float64(f.Noise*f.Noise*bars) + float64(f.Tolerance*f.Tolerance))
	}
	return sum / float64(len(x))
}

func stateDistance(a, b sweep.RegimeVector) float64 {
	x, y := a.Values(), b.Values()
	for _, i := range []int{0, 2} { // atr_norm and bb_width
		x[i], y[i] = portable.Log(max(x[i], 1e-4)), portable.Log(max(y[i], 1e-4))
	}
	var sum float64
	for i, scale := range regimeScales {
		d := (x[i] - y[i]) / scale
		sum += float64(d * d)
	}
	return sum / float64(len(regimeScales))
}

// Axis is one of the terms that candidates are held to.
type Axis string

// The axes.
const (
	AxisSharpe     Axis = "min_oos_sharpe"
	AxisReturn     Axis = "min_return_pct"
	AxisCalmar     Axis = "min_calmar"
	AxisDrawdown   Axis = "max_drawdown_pct"
	AxisTrades     Axis = "min_trades"
	AxisGap        Axis = "max_overfit_gap"
	AxisSimilarity Axis = "min_similarity"
	AxisTimeframe  Axis = "timeframe"
)

// Axes lists the axes in the order in which they are shown.
func Axes() []Axis {
	return []Axis{AxisSharpe, AxisReturn, AxisCalmar, AxisDrawdown, AxisTrades, AxisGap, AxisSimilarity, AxisTimeframe}
}

// Terms are what candidates are held to. A NaN figure meets no lower limit.
type Terms struct {
	MinSharpe      float64
	MinReturnPct   float64
	MinCalmar      float64
	MaxDrawdownPct float64
	MinTrades      int
	MaxOverfitGap  float64
	MinSimilarity  float64
	Timeframe      string // "": any
}

// DefaultTerms are those of a request that names none.
func DefaultTerms() Terms {
	return Terms{
		MinSharpe: 0.3, MinReturnPct: 5, MinCalmar: 0.5, MaxDrawdownPct: 20, MinTrades: 5, MaxOverfitGap: 0.5, MinSimilarity: 0.5,
	}
}

// fails lists the axes on which a candidate falls short.
func (t Terms) fails(c Candidate) []Axis {
	met := map[Axis]bool{
		AxisSharpe: c.Sharpe >= t.MinSharpe, AxisReturn: c.ReturnPct >= t.MinReturnPct, AxisCalmar: c.Calmar >= t.MinCalmar,
		AxisDrawdown: c.MaxDrawdownPct <= t.MaxDrawdownPct, AxisTrades: c.Trades >= t.MinTrades,
		AxisGap: c.OverfitGap <= t.MaxOverfitGap, AxisSimilarity: c.Similarity >= t.MinSimilarity,
		AxisTimeframe: t.Timeframe == "" || c.Timeframe == t.Timeframe,
	}
	return slices.DeleteFunc(Axes(), func(a Axis) bool { return met[a] })
}

// limit is the term of an axis, and figure what a candidate has on it; atLeast says which way the
// term works. The timeframe has no figure.
func (t Terms) limit(axis Axis, c Candidate) (limit, figure float64, atLeast bool) {
	switch axis {
	case AxisSharpe:
		return t.MinSharpe, c.Sharpe, true
	case AxisReturn:
		return t.MinReturnPct, c.ReturnPct, true
	case AxisCalmar:
		return t.MinCalmar, c.Calmar, true
	case AxisDrawdown:
		return t.MaxDrawdownPct, c.MaxDrawdownPct, false
	case AxisTrades:
		return float64(t.MinTrades), float64(c.Trades), true
	case AxisGap:
		return t.MaxOverfitGap, c.OverfitGap, false
	case AxisSimilarity:
		return t.MinSimilarity, c.Similarity, true
	}
	return 0, 0, true
}
