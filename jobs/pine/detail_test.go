package pine

import (
	"fmt"
	"testing"

	"millrace/jobs/backtest"
)

// The entry fills on bar 1 at 100, with a stop at 95 and a limit at 105; bar 2 goes to 110 and to 90. The
// assumed path goes to the high first, as it is as near as the low and ties go down first: so to the low. The
// bars inside say which came first.
func TestABarsInsideDecidesBetweenStopAndLimit(t *testing.T) {
	const script = "//@version=6\nstrategy(\"t\")\nif bar_index == 0\n    strategy.entry(\"L\", strategy.long)\n    strategy.exit(\"X\", \"L\", stop=95, limit=105)\n"
	quiet := [4]float64{100, 101, 99, 100}
	hours := shapedBars(t, 60, quiet, quiet, [4]float64{100, 110, 90, 100}, quiet)
	for _, c := range []struct {
		name   string
		inside [][4]float64 // of bar 2
		price  float64
	}{
		{"assumed", nil, 95},
		{"the rise comes first", [][4]float64{{100, 110, 98, 104}, {104, 106, 90, 100}}, 105},
		{"the fall comes first", [][4]float64{{100, 101, 90, 97}, {97, 110, 96, 100}}, 95},
		{"the second half opens below the stop", [][4]float64{{100, 104, 96, 97}, {93, 110, 90, 100}}, 93},
	} {
		bars := hours
		if c.inside != nil {
			shapes := append([][4]float64{quiet, quiet, quiet, quiet}, append(c.inside, quiet, quiet)...)
			var err error
			if bars, err = hours.WithDetail(shapedBars(t, 30, shapes...)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := tradesOf(t, script, bars)
		if want := fmt.Sprintf("L 1@100-2@%v", c.price); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, want)
		}
	}
}

// shapedBars are bars of so many minutes with open, high, low and close as given.
func shapedBars(t *testing.T, minutes int64, shapes ...[4]float64) *backtest.Bars {
	t.Helper()
	n := len(shapes)
	times, o, h, l, c := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, s := range shapes {
		times[i], o[i], h[i], l[i], c[i] = int64(i)*minutes*60e6, s[0], s[1], s[2], s[3]
	}
	b, err := backtest.NewBars(times, o, h, l, c, make([]float64, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
