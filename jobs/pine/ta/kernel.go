package ta

import (
	"errors"
	"math"

	"millrace/jobs/backtest"
)

// ErrLength reports a length that is na or below 1.
var ErrLength = errors.New("length must be at least 1")

// Kernel is one call site of an indicator function.
type Kernel interface {
	// Next advances the call site by one run on chart bar `bar`. args has one value for each of
	// Law.Args, out one for each result. Bools are 0 and 1. The error is ErrLength; it allocates nothing.
	Next(bar int, args, out []float64) error
	// Reset forgets the past and keeps the memory.
	Reset()
}

// Law describes one function.
type Law struct {
	Name    string
	Args    []string // in the order of Next's args
	Results int
	Bars    bool // reads open, high, low, close or volume of the chart's bars itself
	Bool    bool // its results are bools
}

// Column runs the function over whole series. args[i] has one value for each bar, or a single one that
// holds for all; out has one series for each result, of the bars' length.
func Column(name string, b *backtest.Bars, args, out [][]float64) error {
	return ColumnUntil(nil, name, b, args, out)
}

// ErrStopped reports a column that was given up.
var ErrStopped = errors.New("stopped")

// stopCost is about how many operations lie between two questions whether to give up.
const stopCost = 1 << 20

// ColumnUntil is Column that asks stop now and then whether to give up; a nil stop never does.
func ColumnUntil(stop func() bool, name string, b *backtest.Bars, args, out [][]float64) error {
	k := New(name, b)
	if k == nil {
		return errors.New("unknown function " + name)
	}
	n := len(out[0])
	if done, err := fastColumn(name, b, args, out); done {
		return err
	}
	in, result := make([]float64, len(args)), make([]float64, len(out))
	long := window(args)
	for i, cost := 0, 0; i < n; i++ {
		if cost += 16 + min(i, long); cost > stopCost && stop != nil {
			if cost = 0; stop() {
				return ErrStopped
			}
		}
		for j, a := range args {
			if len(a) == 1 {
				in[j] = a[0]
			} else {
				in[j] = a[i]
			}
		}
		if err := k.Next(i, in, result); err != nil {
			return err
		}
		for j := range out {
			out[j][i] = result[j]
		}
	}
	return nil
}

// window is the longest length among arguments that hold for all bars.
func window(args [][]float64) int {
	long := 64
	for _, a := range args {
		if len(a) == 1 && a[0] > float64(long) && a[0] <= maxLength {
			long = int(a[0])
		}
	}
	return long
}

// maxLength bounds lengths, so that converting them to int is safe.
const maxLength = 1 << 30

// length checks a length argument.
func length(v float64) (int, error) {
	if !(v >= 1) || v > maxLength {
		return 0, ErrLength
	}
	return int(v), nil
}

// single is a function of a series and a length with one result.
type single interface {
	next(bar int, x float64, n int) float64
	Reset()
}

// byLength makes a Kernel of a function f(x, n).
type byLength struct{ single }

func (k byLength) Next(bar int, args, out []float64) error {
	n, err := length(args[1])
	if err != nil {
		return err
	}
	out[0] = k.next(bar, args[0], n)
	return nil
}

// ofBars makes a Kernel of a function f(n) that reads the bars itself.
type ofBars struct{ single }

func (k ofBars) Next(bar int, args, out []float64) error {
	n, err := length(args[0])
	if err != nil {
		return err
	}
	out[0] = k.next(bar, math.NaN(), n)
	return nil
}

// steps makes a Kernel of a function without a length.
type steps struct {
	step  func(bar int, args, out []float64)
	reset func()
}

func (k *steps) Next(bar int, args, out []float64) error {
	k.step(bar, args, out)
	return nil
}

func (k *steps) Reset() { k.reset() }

// keepLeast is how many values a history keeps at least.
const keepLeast = 1024

// history keeps the last values of a series, contiguous and oldest first.
type history struct {
	v    []float64
	keep int
}

func (h *history) push(x float64) {
	if h.keep < keepLeast {
		h.keep = keepLeast
	}
	if len(h.v) >= 2*h.keep {
		copy(h.v, h.v[len(h.v)-h.keep:])
		h.v = h.v[:h.keep]
	}
	h.v = append(h.v, x)
}

// want makes the history keep n values from now on.
func (h *history) want(n int) { h.keep = max(h.keep, n) }

// tail is the last n values, or nil when there are fewer. It is valid until the next push.
func (h *history) tail(n int) []float64 {
	h.want(n)
	if len(h.v) < n {
		return nil
	}
	return h.v[len(h.v)-n:]
}

// back is the value k pushes before the last, NaN before the first.
func (h *history) back(k int) float64 {
	h.want(k + 1)
	if k >= len(h.v) {
		return math.NaN()
	}
	return h.v[len(h.v)-1-k]
}

func (h *history) Reset() { h.v = h.v[:0] }

func isNA(x float64) bool { return x != x }

// hasNA says whether one of the values is na.
func hasNA(v []float64) bool {
	for _, x := range v {
		if x != x {
			return true
		}
	}
	return false
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// tolerance is how far apart two values may be to count as equal in the functions that say so.
const tolerance = 1e-10
