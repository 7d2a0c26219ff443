package evidence

import "math"

const eulerGamma = 0.57721566490153286

// ExpectedMaxSharpe is SR₀ of Bailey & López de Prado, "The Deflated Sharpe Ratio", J. Portfolio
// Management 40(5), 2014: the Sharpe ratio that the best of n independent trials without skill is
// expected to show, when the trials' ratios have the given variance. 0 for fewer than two trials.
func ExpectedMaxSharpe(variance float64, n int) float64 {
	if n < 2 {
		return 0
	}
	trials := float64(n)
	return math.Sqrt(variance) * (float64((1-eulerGamma)*NormalQuantile(1-1/trials)) + float64(eulerGamma*NormalQuantile(1-1/(trials*math.E))))
}

// ProbabilisticSharpe is the probability that the true per-period Sharpe ratio is above benchmark,
// for one measured over periods returns with that skew and full kurtosis (Bailey & López de Prado,
// "The Sharpe ratio efficient frontier", J. Risk 15(2), 2012). NaN where the formula has no value.
func ProbabilisticSharpe(sr, benchmark float64, periods int, skew, kurt float64) float64 {
	spread := 1 - float64(skew*sr) + float64((kurt-1)/4*sr*sr)
	if periods < 2 || !(spread > 0) {
		return math.NaN()
	}
	return NormalCDF((sr - benchmark) * math.Sqrt(float64(periods-1)) / math.Sqrt(spread))
}

// PSR is ProbabilisticSharpe of a series.
func (m Moments) PSR(benchmark float64) float64 {
	return ProbabilisticSharpe(m.SR(), benchmark, m.N, m.Skew, m.Kurt)
}
