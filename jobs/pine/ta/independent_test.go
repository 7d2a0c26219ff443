package ta_test

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"
)

// TestValuesEqualIndependentOnes compares the laws that TA-Lib lacks with other independent implementations, and
// prints the largest relative difference of each. See testdata/README.md.
func TestValuesEqualIndependentOnes(t *testing.T) {
	bars, _ := readTALib(t)
	columns := readColumns(t, "testdata/independent.csv")
	c, h, l, v := bars.Close, bars.High, bars.Low, bars.Volume
	typical, down := make([]float64, bars.Len()), make([]float64, bars.Len())
	for i := range typical {
		typical[i] = (h[i] + l[i] + c[i]) / 3
		if c[i] < bars.Open[i] {
			down[i] = 1
		}
	}
	n := func(v float64) []float64 { return []float64{v} }
	first := make([]float64, bars.Len())
	first[0] = 1
	for _, test := range []struct {
		fn     string
		args   [][]float64
		column string
		result int
		last   int // so many bars are compared, as the start differs and fades; 0: all that have a value
	}{
		{"alma", [][]float64{c, n(9), n(0.85), n(6), n(0)}, "alma(close,9,0.85,6)", 0, 0},
		{"barssince", [][]float64{down}, "barssince(close<open)", 0, 0},
		{"bbw", [][]float64{c, n(20), n(2)}, "bbw(close,20,2)", 0, 0},
		{"cmo", [][]float64{c, n(9)}, "cmo(close,9)", 0, 0},
		{"cog", [][]float64{c, n(10)}, "cog(close,10)", 0, 0},
		{"cum", [][]float64{v}, "cum(volume)", 0, 0},
		{"dev", [][]float64{c, n(20)}, "dev(close,20)", 0, 0},
		{"falling", [][]float64{c, n(3)}, "falling(close,3)", 0, 0},
		{"highestbars", [][]float64{h, n(9)}, "highestbars(high,9)", 0, 0},
		{"hma", [][]float64{c, n(16)}, "hma(close,16)", 0, 0},
		{"iii", nil, "iii", 0, 0},
		{"kc", [][]float64{c, n(20), n(2), n(1)}, "kc.middle(close,20,2)", 0, 100},
		{"kc", [][]float64{c, n(20), n(2), n(1)}, "kc.upper(close,20,2)", 1, 100},
		{"kc", [][]float64{c, n(20), n(2), n(1)}, "kc.lower(close,20,2)", 2, 100},
		{"lowestbars", [][]float64{l, n(9)}, "lowestbars(low,9)", 0, 0},
		{"median", [][]float64{c, n(9)}, "median(close,9)", 0, 0},
		{"mode", [][]float64{c, n(9)}, "mode(close,9)", 0, 0},
		{"nvi", nil, "nvi", 0, 0},
		{"obv", nil, "obv", 0, 0},
		{"percentile_linear_interpolation", [][]float64{c, n(20), n(30)}, "percentile_linear(close,20,30)", 0, 0},
		{"percentile_nearest_rank", [][]float64{c, n(20), n(30)}, "percentile_nearest(close,20,30)", 0, 0},
		{"percentrank", [][]float64{c, n(20)}, "percentrank(close,20)", 0, 0},
		{"pvi", nil, "pvi", 0, 0},
		{"pvt", nil, "pvt", 0, 0},
		{"range", [][]float64{c, n(20)}, "range(close,20)", 0, 0},
		{"rci", [][]float64{c, n(9)}, "rci(close,9)", 0, 0},
		{"rising", [][]float64{c, n(3)}, "rising(close,3)", 0, 0},
		{"rma", [][]float64{c, n(14)}, "rma(close,14)", 0, 200},
		{"sar", [][]float64{n(0.02), n(0.02), n(0.2)}, "sar(0.02,0.02,0.2)", 0, 400},
		{"stdev", [][]float64{c, n(20), n(0)}, "stdev.unbiased(close,20)", 0, 0},
		{"supertrend", [][]float64{n(3), n(10)}, "supertrend.direction(3,10)", 1, 300},
		{"swma", [][]float64{c}, "swma(close)", 0, 0},
		{"tsi", [][]float64{c, n(13), n(25)}, "tsi(close,13,25)", 0, 100},
		{"variance", [][]float64{c, n(20), n(1)}, "variance(close,20)", 0, 0},
		{"variance", [][]float64{c, n(20), n(0)}, "variance.unbiased(close,20)", 0, 0},
		{"vwap", [][]float64{typical, first, n(1)}, "vwap", 0, 0},
		{"vwma", [][]float64{c, n(20)}, "vwma(close,20)", 0, 0},
		{"wad", nil, "wad", 0, 0},
		{"wvad", nil, "wvad", 0, 0},
	} {
		want, found := columns[test.column]
		if !found {
			t.Errorf("%s: there is no column %q", test.fn, test.column)
			continue
		}
		got := columnsOf(t, test.fn, bars, results(test.fn), test.args...)[test.result]
		compared, most, at := 0, 0.0, 0
		for i := range want {
			if math.IsNaN(want[i]) || test.last > 0 && i < len(want)-test.last {
				continue
			}
			compared++
			if d := math.Abs(got[i]-want[i]) / math.Max(1, math.Abs(want[i])); !(d <= most) {
				most, at = d, i
			}
		}
		t.Logf("%-34s %3d bars, largest relative difference %.1e", test.column, compared, most)
		if !(most <= 1e-8) {
			t.Errorf("%s: bar %d of %q is %v, the other's %v", test.fn, at, test.column, got[at], want[at])
		}
		if compared < 100 {
			t.Errorf("%s: only %d bars of %q are compared", test.fn, compared, test.column)
		}
	}
}

// readColumns reads a table of numbers by its headings; an empty cell is na.
func readColumns(t *testing.T, name string) map[string][]float64 {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]float64{}
	for _, row := range rows[1:] {
		for j, heading := range rows[0] {
			v := math.NaN()
			if row[j] != "" {
				if v, err = strconv.ParseFloat(row[j], 64); err != nil {
					t.Fatal(err)
				}
			}
			columns[heading] = append(columns[heading], v)
		}
	}
	return columns
}
