package evidence

import "math"

// Market is what a series of returns has to do with those of buy-and-hold. Undefined figures are NaN.
type Market struct {
	Alpha            float64 // mean return per period that the exposure does not explain
	Beta             float64 // exposure: the slope on the benchmark's returns
	AlphaSR          float64 // Sharpe ratio per period of the excess r − β·b
	InformationRatio float64 // Sharpe ratio per period of r − b
	UpCapture        float64 // mean return over the benchmark's, of the periods in which it rose
	DownCapture      float64 // the same, of those in which it fell
}

// Regress fits returns = α + β·benchmark + e by least squares and returns the excess
// returns − β·benchmark. A benchmark that does not vary explains nothing: β is 0.
func Regress(returns, benchmark []float64) (Market, []float64) {
	beta, meanR, meanB := slope(returns, benchmark)
	m := Market{Beta: beta, Alpha: meanR - float64(beta*meanB)}
	excess, active := without(returns, benchmark, beta), make([]float64, len(returns))
	for i, r := range returns {
		active[i] = r - benchmark[i]
	}
	m.AlphaSR, m.InformationRatio = Describe(excess).SR(), Describe(active).SR()
	m.UpCapture, m.DownCapture = capture(returns, benchmark, 1), capture(returns, benchmark, -1)
	return m, excess
}

// Alpha is that of Regress alone.
func Alpha(returns, benchmark []float64) float64 {
	beta, meanR, meanB := slope(returns, benchmark)
	return meanR - float64(beta*meanB)
}

// slope is β, with the means of both.
func slope(returns, benchmark []float64) (beta, meanR, meanB float64) {
	n := float64(len(returns))
	var sumR, sumB float64
	for i, r := range returns {
		sumR, sumB = sumR+r, sumB+benchmark[i]
	}
	meanR, meanB = sumR/n, sumB/n
	var cross, squares float64
	for i, r := range returns {
		d := benchmark[i] - meanB
		cross += float64(d * (r - meanR))
		squares += float64(d * d)
	}
	if squares > 1e-24*n {
		beta = cross / squares
	}
	return beta, meanR, meanB
}

// without are the returns without so many times the benchmark's.
func without(returns, benchmark []float64, beta float64) []float64 {
	excess := make([]float64, len(returns))
	for i, r := range returns {
		excess[i] = r - float64(beta*benchmark[i])
	}
	return excess
}

// capture is the mean return over the benchmark's, of the periods in which the benchmark has the sign.
func capture(returns, benchmark []float64, sign float64) float64 {
	var own, market float64
	for i, b := range benchmark {
		if b*sign > 0 {
			own, market = own+returns[i], market+b
		}
	}
	if market == 0 {
		return math.NaN()
	}
	return own / market
}

// Excess is the panel with what the benchmark explains taken out of each row.
func (p *Panel) Excess(benchmark []float64) *Panel {
	return p.ExcessOf(benchmark, nil)
}

// ExcessOf is Excess where some rows are known already: those whose returns are nil, and any other one that KnownAs names.
func (p *Panel) ExcessOf(benchmark []float64, known *Known) *Panel {
	out := &Panel{
		Trials: p.Trials, Returns: make([][]float64, len(p.Returns)), KnownAs: p.KnownAs,
		blocks: make([]float64, len(p.Returns)), spreads: make([]spread, len(p.Returns)),
		standard: make([][]float64, len(p.Returns)), known: known,
	}
	beside(len(p.Returns), func(i int) {
		if k := known.of(p.knownAs(i)); k.excess != nil {
			out.Returns[i], out.blocks[i], out.spreads[i], out.standard[i] = k.excess, k.block, k.spread, k.standard
			return
		}
		out.Returns[i] = excess(p.Returns[i], benchmark)
		out.spreads[i] = spreadOf(out.Returns[i])
		out.standard[i] = out.spreads[i].standardise(out.Returns[i])
	})
	return out
}

func excess(returns, benchmark []float64) []float64 {
	beta, _, _ := slope(returns, benchmark)
	return without(returns, benchmark, beta)
}
