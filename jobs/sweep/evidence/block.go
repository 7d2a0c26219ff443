package evidence

import (
	"math"

	"millrace/jobs/portable"
)

// BlockLength is the mean block length, in periods and at least 1, at which the stationary bootstrap
// keeps the dependence of a series: Politis & White 2004 with the correction of 2009. A series that
// does not vary, or is shorter than 20 periods, has 1.
func BlockLength(values []float64) float64 { return blockLengthAbout(values, Describe(values).Mean) }

// blockLengthAbout is BlockLength of a series with that mean.
func blockLengthAbout(values []float64, mean float64) float64 {
	n := len(values)
	if n < 20 {
		return 1
	}
	deviations := make([]float64, n)
	for i, v := range values {
		deviations[i] = v - mean
	}
	quiet := max(5, int(portable.Log10(float64(n)))) // K_N: so many lags in a row must be without correlation
	most := int(math.Ceil(math.Sqrt(float64(n)))) + quiet
	covariances, lag := autocovariances(deviations, most, quiet)
	if !(covariances[0] > 0) {
		return 1
	}
	m := lagsWanted(lag, most)
	g, spectrum := 0.0, covariances[0]
	for k := 1; k <= m; k++ {
		weight := 2 * flatTop(float64(k)/float64(m))
		g += float64(weight * float64(k) * covariances[k])
		spectrum += float64(weight * covariances[k])
	}
	length := portable.Cbrt(2*g*g/(2*spectrum*spectrum)) * portable.Cbrt(float64(n))
	longest := math.Ceil(min(3*math.Sqrt(float64(n)), float64(n)/3))
	if math.IsNaN(length) {
		return 1
	}
	return max(1, min(length, longest))
}

// flatTop is the trapezoid window of Politis & Romano.
func flatTop(x float64) float64 {
	if x <= 0.5 {
		return 1
	}
	return 2 * (1 - x)
}

// lagsWanted is how many lags the spectrum is made of.
func lagsWanted(lag, most int) int {
	if lag < 0 {
		return most
	}
	return min(2*max(lag, 1), most)
}

// autocovariances are those of lags 0 to most, and the last lag before the first run of quiet ones
// whose correlations are all within the band of noise; -1 when there is no such run. Covariances that the
// spectrum does not need stay 0.
func autocovariances(deviations []float64, most, quiet int) (covariances []float64, lag int) {
	n := len(deviations)
	band := 2 * math.Sqrt(portable.Log10(float64(n))/float64(n))
	covariances, lag = make([]float64, most+1), -1
	within := 0
	var sums [lagsAtOnce]lagSums
	squares := firstSquares(deviations, most)
	for i := range covariances {
		if lag >= 0 && i > lagsWanted(lag, most) {
			break
		}
		if i%lagsAtOnce == 0 {
			sums = sumLags(deviations, i)
		}
		cross, late, early := sums[i%lagsAtOnce].cross, sums[i%lagsAtOnce].late, squares[i]
		covariances[i] = cross / float64(n)
		if i >= quiet && within >= quiet && lag < 0 {
			lag = i - quiet
		}
		if math.Abs(cross)/math.Sqrt(late*early) < band {
			within++
		} else {
			within = 0
		}
	}
	return covariances, lag
}

// firstSquares are for each lag up to most the squares of all but the last periods, of which there are one more than the lag.
func firstSquares(d []float64, most int) []float64 {
	squares := make([]float64, most+1)
	var sum float64
	for k, x := range d {
		if lag := len(d) - 1 - k; lag <= most {
			squares[lag] = sum
		}
		sum += float64(x * x)
	}
	return squares
}

// lagSums are Σ d(k)·d(k−lag) and the squares of the later side of the lag after: Σ d(k)² from lag+1 on.
type lagSums struct{ cross, late float64 }

// lagsAtOnce is how many lags are summed at a time. Each addition waits for the one before it in its sum, so that many sums take
// little more time than one.
const lagsAtOnce = 16

// sumLagsPlain sums for a lag and for those after it, each in the order of the periods.
func sumLagsPlain(d []float64, lag int) (sums [lagsAtOnce]lagSums) {
	for i := range sums {
		from := lag + i
		if from >= len(d) {
			break
		}
		cross, late := 0+float64(d[from]*d[0]), 0.0
		before := d[1 : len(d)-from]
		for k, x := range d[from+1:] {
			cross += float64(x * before[k])
			late += float64(x * x)
		}
		sums[i] = lagSums{cross, late}
	}
	return sums
}

// PanelBlockLength is the median block length of the panel's rows, of at most 100 of them.
func (p *Panel) PanelBlockLength() float64 {
	step := max(1, (len(p.Returns)+99)/100)
	lengths := make([]float64, (len(p.Returns)+step-1)/step)
	beside(len(lengths), func(i int) {
		if p.blocks != nil {
			lengths[i] = p.blocks[i*step]
		}
		if lengths[i] == 0 {
			lengths[i] = blockLengthAbout(p.Returns[i*step], p.spreadOf(i*step).mean)
		}
	})
	return median(lengths)
}
