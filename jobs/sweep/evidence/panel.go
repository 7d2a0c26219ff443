package evidence

import (
	"math"

	"millrace/jobs/portable"
)

// Panel holds the returns of some trials, each over the same periods. Sharpe ratios of it are per
// period, with the deviation of a sample (ddof 1), and not annualised.
type Panel struct {
	Trials  []int       // numbers of the trials
	Returns [][]float64 // a row a trial, all of one length
	KnownAs []int       // what Known calls the rows; nil: by their trials

	// Found by ExcessOf; nil of other panels.
	blocks   []float64   // block lengths of rows; 0: not found yet
	spreads  []spread    // of all rows
	standard [][]float64 // rows at mean 0 and length 1; nil for one that does not vary
	known    *Known
}

// knownAs is what Known calls a row.
func (p *Panel) knownAs(row int) int {
	if p.KnownAs == nil {
		return p.Trials[row]
	}
	return p.KnownAs[row]
}

// spread is where a row lies, and how widely: the mean and the deviation of Describe.
type spread struct{ mean, deviation float64 }

func spreadOf(row []float64) spread {
	m := Describe(row)
	return spread{m.Mean, m.Deviation}
}

// spreadOf is that of a row.
func (p *Panel) spreadOf(row int) spread {
	if p.spreads == nil {
		return spreadOf(p.Returns[row])
	}
	return p.spreads[row]
}

// Periods is the length of the rows; 0 without any.
func (p *Panel) Periods() int {
	for _, row := range p.Returns {
		if row != nil {
			return len(row)
		}
	}
	return 0
}

// Row is the position of a trial, or -1.
func (p *Panel) Row(trial int) int {
	for i, number := range p.Trials {
		if number == trial {
			return i
		}
	}
	return -1
}

// Moments are the mean, deviation and shape of a series.
type Moments struct {
	N          int
	Mean       float64
	Deviation  float64 // of a sample
	Skew, Kurt float64 // of the population; a normal series has 0 and 3
}

// SR is the Sharpe ratio per period; NaN when nothing varies.
func (m Moments) SR() float64 {
	if !(m.Deviation > 0) {
		return math.NaN()
	}
	return m.Mean / m.Deviation
}

// Describe measures a series in two passes. The figures of fewer than two values are NaN.
func Describe(values []float64) Moments {
	n := float64(len(values))
	var sum float64
	for _, v := range values {
		sum += v
	}
	m := Moments{N: len(values), Mean: sum / n}
	var squares, cubes, fourths float64
	for _, v := range values {
		d := v - m.Mean
		d2 := float64(d * d)
		squares += d2
		cubes += float64(d2 * d)
		fourths += float64(d2 * d2)
	}
	m.Deviation = math.Sqrt(squares / (n - 1))
	variance := squares / n
	m.Skew, m.Kurt = cubes/n/(variance*math.Sqrt(variance)), fourths/n/(variance*variance)
	// A constant series has the rounding of its mean left over.
	if !(m.Deviation > 1e-12*math.Abs(m.Mean)) {
		m.Deviation, m.Skew, m.Kurt = 0, math.NaN(), math.NaN()
	}
	return m
}

// NormalCDF is Φ, the distribution function of the standard normal distribution.
func NormalCDF(x float64) float64 { return float64(0.5 * portable.Erfc(-x/math.Sqrt2)) }

// NormalQuantile is Φ⁻¹.
func NormalQuantile(p float64) float64 { return float64(math.Sqrt2 * portable.Erfinv(2*p-1)) }
