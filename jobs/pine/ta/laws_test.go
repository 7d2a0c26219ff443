package ta_test

import (
	"math"
	"testing"

	"millrace/jobs/pine/ta"
)

// na is the absent value.
var na = math.NaN()

// law runs a function of series and settings over values of the test's own.
func law(t *testing.T, fn string, n int, args ...[]float64) [][]float64 {
	t.Helper()
	return columnsOf(t, fn, randomBars(t, 1, n), results(fn), args...)
}

func wantSeries(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("%s: bar %d is %v, want %v (all: %v)", what, i, got[i], want[i], got)
			return
		}
	}
}

func one(v float64) []float64 { return []float64{v} }

func TestRecursiveMeansKeepTheirForm(t *testing.T) {
	x := []float64{1, 2.5, 0.25, 5.9, 3.3, 8.1, 0.1}
	third := 1.25
	ema, rma := []float64{na, na, third}, []float64{na, na, third}
	for _, v := range x[3:] {
		e, r := ema[len(ema)-1], rma[len(rma)-1]
		ema = append(ema, e+float64(0.5*(v-e)))
		rma = append(rma, (float64(r*2)+v)/3)
	}
	wantSeries(t, "ema", law(t, "ema", len(x), x, one(3))[0], ema)
	wantSeries(t, "rma", law(t, "rma", len(x), x, one(3))[0], rma)
}

func TestNAInputs(t *testing.T) {
	x := []float64{na, 1, 2, na, 3, 4}
	// sma and sum compact and hold; ema and rma are na on an na bar and keep their state.
	wantSeries(t, "sma", law(t, "sma", 6, x, one(2))[0], []float64{na, na, 1.5, 1.5, 2.5, 3.5})
	wantSeries(t, "sum", law(t, "sum", 6, x, one(2))[0], []float64{na, na, 3, 3, 5, 7})
	wantSeries(t, "ema", law(t, "ema", 6, x, one(1))[0], []float64{na, 1, 2, na, 3, 4})
	wantSeries(t, "rma", law(t, "rma", 6, x, one(2))[0], []float64{na, na, 1.5, na, 2.25, 3.125})
	// wma stands the last value in for na inside its window.
	wantSeries(t, "wma", law(t, "wma", 6, x, one(2))[0], []float64{na, na, 5.0 / 3, na, 8.0 / 3, 11.0 / 3})
	// highest ignores na inside a window of bars; change does not.
	wantSeries(t, "highest", law(t, "highest", 6, x, one(2))[0], []float64{na, 1, 2, 2, 3, 4})
	wantSeries(t, "change", law(t, "change", 6, x, one(1))[0], []float64{na, na, 1, na, na, 1})
	wantSeries(t, "cum", law(t, "cum", 6, x)[0], []float64{na, 1, 3, 3, 6, 10})
	wantSeries(t, "fixnan", law(t, "fixnan", 6, x)[0], []float64{na, 1, 2, 2, 3, 4})
}

func TestHighestBarsReportsTheOldestOfTies(t *testing.T) {
	x := []float64{1, 3, 3, 2, 3, 0}
	wantSeries(t, "highestbars", law(t, "highestbars", 6, x, one(3))[0], []float64{na, na, -1, -2, -2, -1})
}

func TestCrossesCompareWithTheLastDefinedBar(t *testing.T) {
	a, b := []float64{1, 2, 3, na, 1, 2, 3}, []float64{2, 2, 2, 2, 2, 2, 2}
	wantSeries(t, "crossover", law(t, "crossover", 7, a, b)[0], []float64{0, 0, 1, 0, 0, 0, 1})
	wantSeries(t, "crossunder", law(t, "crossunder", 7, a, b)[0], []float64{0, 0, 0, 0, 1, 0, 0})
	wantSeries(t, "cross", law(t, "cross", 7, a, b)[0], []float64{0, 0, 1, 0, 1, 0, 1})
	// From a plateau of equality crossover fires, cross has no side to leave; nor when it comes back to the side it left.
	c := []float64{2, 2, 3, 2, 3}
	wantSeries(t, "crossover", law(t, "crossover", 5, c, b[:5])[0], []float64{0, 0, 1, 0, 1})
	wantSeries(t, "cross", law(t, "cross", 5, c, b[:5])[0], []float64{0, 0, 0, 0, 0})
}

func TestPivotIsStrictAfterItAndNotBefore(t *testing.T) {
	wantSeries(t, "pivothigh", law(t, "pivothigh", 5, []float64{1, 3, 3, 2, 1}, one(1), one(1))[0], []float64{na, na, na, 3, na})
	wantSeries(t, "pivotlow", law(t, "pivotlow", 5, []float64{3, 1, 1, 2, 0}, one(1), one(1))[0], []float64{na, na, na, 1, na})
}

func TestValuewhenAndBarssince(t *testing.T) {
	condition, x := []float64{0, 1, 0, 1, na, 1}, []float64{10, 11, 12, na, 14, 15}
	wantSeries(t, "valuewhen", law(t, "valuewhen", 6, condition, x, one(0))[0], []float64{na, 11, 11, na, na, 15})
	wantSeries(t, "valuewhen", law(t, "valuewhen", 6, condition, x, one(2))[0], []float64{na, na, na, na, na, 11})
	wantSeries(t, "barssince", law(t, "barssince", 6, condition)[0], []float64{na, 0, 1, 0, 1, 0})
}

func TestRSIAtItsBounds(t *testing.T) {
	wantSeries(t, "rsi", law(t, "rsi", 4, []float64{1, 2, 3, 4}, one(2))[0], []float64{na, na, 100, 100})
	wantSeries(t, "rsi", law(t, "rsi", 4, []float64{4, 3, 2, 1}, one(2))[0], []float64{na, na, 0, 0})
}

func TestExtremesAgeInBarsWhenTheCallDoesNotRun(t *testing.T) {
	k := ta.New("highest", randomBars(t, 1, 10))
	out := make([]float64, 1)
	for _, step := range []struct {
		bar     int
		x, want float64
	}{{0, 5, na}, {1, 9, na}, {2, 3, 9}, {5, 4, 4}, {6, 2, 4}} {
		if err := k.Next(step.bar, []float64{step.x, 3}, out); err != nil {
			t.Fatal(err)
		}
		wantSeries(t, "highest", out, []float64{step.want})
	}
}

func TestSARIsLostForGoodWhenABarIsSkipped(t *testing.T) {
	k := ta.New("sar", randomBars(t, 1, 10))
	out := make([]float64, 1)
	for _, bar := range []int{0, 1, 2, 4, 5} {
		if err := k.Next(bar, []float64{0.02, 0.02, 0.2}, out); err != nil {
			t.Fatal(err)
		}
		if defined := bar == 1 || bar == 2; math.IsNaN(out[0]) == defined {
			t.Errorf("bar %d: %v", bar, out[0])
		}
	}
}
