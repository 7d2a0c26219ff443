package ta

import "math"

// crossing is crossover (sign 1) and crossunder (sign −1): exact, against the last bar on which both
// series were defined.
type crossing struct {
	sign float64
	last float64 // side of a against b there
	any  bool
}

func (c *crossing) Reset() { c.any = false }

func (c *crossing) Next(_ int, args, out []float64) error {
	a, b := args[0], args[1]
	if isNA(a) || isNA(b) {
		out[0] = 0
		return nil
	}
	d := c.sign * side(a, b)
	out[0] = boolean(d > 0 && c.any && c.last <= 0)
	c.last, c.any = d, true
	return nil
}

// cross is either way. It remembers the last side through equality, and has none before the first bar on
// which the series differ by more than the tolerance.
type cross struct{ side float64 }

func (c *cross) Reset() { c.side = 0 }

func (c *cross) Next(_ int, args, out []float64) error {
	a, b := args[0], args[1]
	out[0] = boolean(c.side < 0 && a > b || c.side > 0 && a < b)
	if d := a - b; math.Abs(d) > tolerance {
		c.side = math.Copysign(1, d)
	}
	return nil
}

// side is the sign of a − b without the subtraction, which is exact for any two values.
func side(a, b float64) float64 {
	switch {
	case a > b:
		return 1
	case a < b:
		return -1
	}
	return 0
}

// valuewhen is the series at the k-th last bar with the condition: (condition, x, k).
type valuewhen struct{ past history }

func (v *valuewhen) Reset() { v.past.Reset() }

func (v *valuewhen) Next(_ int, args, out []float64) error {
	if args[0] != 0 && !isNA(args[0]) {
		v.past.push(args[1])
	}
	if !(args[2] >= 0) || args[2] > maxLength {
		return ErrLength
	}
	out[0] = v.past.back(int(args[2]))
	return nil
}

func newBarssince() Kernel {
	count := math.NaN()
	return &steps{
		step: func(_ int, args, out []float64) {
			if args[0] != 0 && !isNA(args[0]) {
				count = 0
			} else {
				count++
			}
			out[0] = count
		},
		reset: func() { count = math.NaN() },
	}
}

// newFold is cum, max, min and fixnan: the state is folded with every value that is not na.
func newFold(fold func(state, x float64) float64) Kernel {
	state := math.NaN()
	return &steps{
		step: func(_ int, args, out []float64) {
			switch x := args[0]; {
			case isNA(x):
			case isNA(state):
				state = x
			default:
				state = fold(state, x)
			}
			out[0] = state
		},
		reset: func() { state = math.NaN() },
	}
}

func added(state, x float64) float64 { return state + x }

func newest(_, x float64) float64 { return x }
