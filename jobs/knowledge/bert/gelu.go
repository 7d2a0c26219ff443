package bert

import "math"

// gelu is the activation of the inner layer: x times the share of a normal distribution below x.
func gelu(x float32) float32 {
	return float32(0.5 * float64(x) * (1 + math.Erf(float64(x)/math.Sqrt2)))
}

// A curve has the share below x as polynomials, half the work. Below its range the share is small, and what
// a polynomial misses is much beside it.
const (
	curveFrom  = -3
	curveTo    = 6
	curveSteps = 32 // a unit
	// curveMiss is above what a polynomial misses, which is 5e-14.
	curveMiss = 1e-12
)

// curve is the Taylor series of the fifth degree at the middle of each step.
type curve [(curveTo - curveFrom) * curveSteps][6]float64

func newCurve() *curve {
	var made curve
	for i := range made {
		c := curveFrom + (float64(i)+0.5)/curveSteps
		density := math.Exp(-c*c/2) / math.Sqrt(2*math.Pi)
		made[i] = [6]float64{
			math.Erfc(-c/math.Sqrt2) / 2,
			density,
			density * -c / 2,
			density * (c*c - 1) / 6,
			density * (3*c - c*c*c) / 24,
			density * (c*c*c*c - 6*c*c + 3) / 120,
		}
	}
	return &made
}

// below is the share of a normal distribution below x, within curveMiss.
func (c *curve) below(x float64) float64 {
	step := int((x - curveFrom) * curveSteps)
	a := &c[step]
	h := x - (curveFrom + (float64(step)+0.5)/curveSteps)
	return a[0] + h*(a[1]+h*(a[2]+h*(a[3]+h*(a[4]+h*a[5]))))
}

// gelu is gelu to the last bit: where all that is within what the curve misses is not rounded to one number, it is
// computed by its definition.
func (c *curve) gelu(x float32) float32 {
	wide := float64(x)
	if wide >= curveFrom && wide < curveTo {
		y, miss := wide*c.below(wide), math.Abs(wide)*curveMiss
		if low := float32(y - miss); low == float32(y+miss) {
			return low
		}
	}
	return gelu(x)
}
