package evidence

import (
	"math"

	"millrace/jobs/portable"
)

// BlockLength is the mean block length, in periods and at least 1, at which the stationary bootstrap
// keeps the dependence of a series: Politis & White 2004 with the correction of 2009. A series that
// does not vary, or is shorter than 20 periods, has 1.
func BlockLength(values []float64) float64 {
	n := len(values)
	if n < 20 {
		return 1
	}
	deviations := make([]float64, n)
	mean := Describe(values).Mean
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
	var sums [2]lagSums
	for i := range covariances {
		if lag >= 0 && i > lagsWanted(lag, most) {
			break
		}
		if i&1 == 0 {
			sums[0], sums[1] = sumLags(deviations, i)
		}
		cross, late, early := sums[i&1].cross, sums[i&1].late, sums[i&1].early
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

// lagSums are Σ d(k)·d(k−lag) and the squares of both sides of the lag after: Σ d(k)² and Σ d(k−lag−1)².
type lagSums struct{ cross, late, early float64 }

// sumLags sums for a lag and for the next one, of a series that is longer than both. Each addition waits for the one before
// it in its sum, so that six sums take little more time than one.
func sumLags(d []float64, lag int) (a, b lagSums) {
	first, second := d[lag], d[lag+1]
	a.cross += float64(first * d[0])
	a.cross += float64(second * d[1])
	a.late += float64(second * second)
	a.early += float64(d[0] * d[0])
	b.cross += float64(second * d[0])
	late := d[lag+2:]
	before, two, three := d[2:][:len(late)], d[1:][:len(late)], d[:len(late)]
	for k, x := range late {
		xx, y, z, w := float64(x*x), before[k], two[k], three[k]
		a.cross += float64(x * y)
		a.late += xx
		a.early += float64(z * z)
		b.cross += float64(x * z)
		b.late += xx
		b.early += float64(w * w)
	}
	return a, b
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
			lengths[i] = BlockLength(p.Returns[i*step])
		}
	})
	return median(lengths)
}
