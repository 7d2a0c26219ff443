package ta_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ta"
)

// randomBars is a random walk with some equal closes, on a grid of 0.01.
func randomBars(t testing.TB, seed uint64, n int) *backtest.Bars {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	time, o, h, l, c, v := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	price := 10_000
	for i := range n {
		open := price
		price += rng.IntN(41) - 20
		high, low := max(open, price)+rng.IntN(10), min(open, price)-rng.IntN(10)
		time[i] = int64(i+1) * 900e6
		o[i], h[i], l[i], c[i] = float64(open)/100, float64(high)/100, float64(low)/100, float64(price)/100
		v[i] = float64(1 + rng.IntN(1000))
	}
	b, err := backtest.NewBars(time, o, h, l, c, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arguments are series and settings for a law, each as a column: series long, settings of one value.
func arguments(l ta.Law, b *backtest.Bars) [][]float64 {
	conditions := make([]float64, b.Len())
	for i := range conditions {
		if i%7 == 3 {
			conditions[i] = 1
		}
	}
	gaps := slices.Clone(b.Close)
	for i := range gaps {
		if i%11 == 5 || i < 3 {
			gaps[i] = math.NaN()
		}
	}
	settings := map[string]float64{
		"length": 9, "offset": 0.85, "sigma": 6, "floor": 0, "mult": 2, "fastlen": 5, "slowlen": 12, "siglen": 4,
		"biased": 1, "diLength": 9, "adxSmoothing": 5, "useTrueRange": 1, "percentage": 30, "leftbars": 3,
		"rightbars": 2, "start": 0.02, "inc": 0.02, "max": 0.2, "factor": 3, "atrPeriod": 10, "handle_na": 1,
		"short_length": 5, "long_length": 9, "occurrence": 1, "stdev_mult": 2,
	}
	var args [][]float64
	for _, name := range l.Args {
		switch name {
		case "condition", "anchor":
			args = append(args, conditions)
		case "source1", "high":
			args = append(args, b.High)
		case "source2":
			args = append(args, b.Open)
		case "low":
			args = append(args, b.Low)
		case "source", "series":
			args = append(args, gaps)
		default:
			args = append(args, []float64{settings[name]})
		}
	}
	return args
}

func TestLawsAreSortedAndEachHasAKernel(t *testing.T) {
	laws := ta.Laws()
	if !sort.SliceIsSorted(laws, func(i, j int) bool { return laws[i].Name < laws[j].Name }) {
		t.Error("the table is not sorted by name")
	}
	b := randomBars(t, 1, 10)
	for _, l := range laws {
		if ta.New(l.Name, b) == nil {
			t.Errorf("%s has no kernel", l.Name)
		}
	}
	if ta.New("nothing", b) != nil {
		t.Error("an unknown name has a kernel")
	}
}

func TestColumnHasTheBitsOfTheKernel(t *testing.T) {
	b := randomBars(t, 2, 3000)
	for _, l := range ta.Laws() {
		args := arguments(l, b)
		want := columnsOf(t, l.Name, b, l.Results, args...)
		k := ta.New(l.Name, b)
		defined := false
		// Twice: a reset kernel starts afresh.
		for range 2 {
			in, out := make([]float64, len(args)), make([]float64, l.Results)
			for i := range b.Len() {
				for j, a := range args {
					in[j] = a[min(i, len(a)-1)]
				}
				if err := k.Next(i, in, out); err != nil {
					t.Fatalf("%s: %v", l.Name, err)
				}
				for j := range out {
					defined = defined || !math.IsNaN(out[j])
					if math.Float64bits(out[j]) != math.Float64bits(want[j][i]) && !(math.IsNaN(out[j]) && math.IsNaN(want[j][i])) {
						t.Fatalf("%s: bar %d is %v by the kernel, %v in the column", l.Name, i, out[j], want[j][i])
					}
				}
			}
			k.Reset()
		}
		if !defined {
			t.Errorf("%s is na on every bar", l.Name)
		}
	}
}

func TestKernelsLookAtNoLaterBar(t *testing.T) {
	whole := randomBars(t, 3, 400)
	cut := *whole
	cut.Time, cut.Open, cut.High, cut.Low, cut.Close, cut.Volume = whole.Time[:300], whole.Open[:300], whole.High[:300], whole.Low[:300], whole.Close[:300], whole.Volume[:300]
	for _, l := range ta.Laws() {
		long := columnsOf(t, l.Name, whole, l.Results, arguments(l, whole)...)
		short := columnsOf(t, l.Name, &cut, l.Results, arguments(l, &cut)...)
		for j := range short {
			for i, v := range short[j] {
				if v != long[j][i] && !(math.IsNaN(v) && math.IsNaN(long[j][i])) {
					t.Fatalf("%s: bar %d is %v without the later bars, %v with them", l.Name, i, v, long[j][i])
				}
			}
		}
	}
}

func TestLengthBelowOneIsAnError(t *testing.T) {
	b := randomBars(t, 4, 5)
	for _, l := range ta.Laws() {
		for i, name := range l.Args {
			if name != "length" && name != "atrPeriod" && name != "diLength" && name != "siglen" {
				continue
			}
			for _, bad := range []float64{0, -3, math.NaN(), 0.5} {
				args := make([]float64, len(l.Args))
				for j := range args {
					args[j] = 2
				}
				args[i] = bad
				if err := ta.New(l.Name, b).Next(0, args, make([]float64, l.Results)); !errors.Is(err, ta.ErrLength) {
					t.Errorf("%s with a %s of %v: %v", l.Name, name, bad, err)
				}
			}
		}
	}
}

func TestKernelsAllocateNothingOnceGrown(t *testing.T) {
	b := randomBars(t, 5, 2500)
	for _, l := range ta.Laws() {
		args := arguments(l, b)
		k := ta.New(l.Name, b)
		in, out := make([]float64, len(args)), make([]float64, l.Results)
		play := func() {
			k.Reset()
			for i := range b.Len() {
				for j, a := range args {
					in[j] = a[min(i, len(a)-1)]
				}
				_ = k.Next(i, in, out)
			}
		}
		play()
		if n := testing.AllocsPerRun(2, play); n > 0 {
			t.Errorf("%s: %v allocations a run", l.Name, n)
		}
	}
}

func BenchmarkColumns(b *testing.B) {
	bars := randomBars(b, 6, 50_000)
	for _, l := range ta.Laws() {
		args, out := arguments(l, bars), make([][]float64, l.Results)
		if len(args) > 0 && (l.Args[0] == "source" || l.Args[0] == "series") {
			args[0] = bars.Close
		}
		for i := range out {
			out[i] = make([]float64, bars.Len())
		}
		b.Run(l.Name, func(b *testing.B) {
			for b.Loop() {
				if err := ta.Column(l.Name, bars, args, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bars.Len()), "ns/bar")
		})
	}
}
