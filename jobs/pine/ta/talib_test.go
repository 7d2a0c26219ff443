package ta_test

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"

	"millrace/jobs/backtest"
)

// TestValuesEqualTALibs compares laws with an independent implementation. See testdata/README.md.
func TestValuesEqualTALibs(t *testing.T) {
	bars, columns := readTALib(t)
	c, h, l := bars.Close, bars.High, bars.Low
	mean := make([]float64, bars.Len())
	for i := range mean {
		mean[i] = (h[i] + l[i] + c[i]) / 3
	}
	n := func(v float64) []float64 { return []float64{v} }
	for _, test := range []struct {
		fn     string
		args   [][]float64
		column string
		result int
		fades  bool // its start differs and fades
	}{
		{"sma", [][]float64{c, n(20)}, "sma(close,20)", 0, false},
		{"sum", [][]float64{c, n(20)}, "sum(close,20)", 0, false},
		{"ema", [][]float64{c, n(20)}, "ema(close,20)", 0, false},
		{"wma", [][]float64{c, n(20)}, "wma(close,20)", 0, false},
		{"rsi", [][]float64{c, n(14)}, "rsi(close,14)", 0, false},
		{"stdev", [][]float64{c, n(20), n(1)}, "stdev(close,20)", 0, false},
		{"bb", [][]float64{c, n(20), n(2)}, "bb.upper", 1, false},
		{"bb", [][]float64{c, n(20), n(2)}, "bb.lower", 2, false},
		{"cci", [][]float64{mean, n(20)}, "cci(hlc3,20)", 0, false},
		{"mfi", [][]float64{mean, n(14)}, "mfi(hlc3,14)", 0, false},
		{"wpr", [][]float64{n(14)}, "wpr(14)", 0, false},
		{"stoch", [][]float64{c, h, l, n(14)}, "stoch(14)", 0, false},
		{"linreg", [][]float64{c, n(20), n(0)}, "linreg(close,20)", 0, false},
		{"highest", [][]float64{h, n(20)}, "highest(high,20)", 0, false},
		{"lowest", [][]float64{l, n(20)}, "lowest(low,20)", 0, false},
		{"roc", [][]float64{c, n(10)}, "roc(close,10)", 0, false},
		{"mom", [][]float64{c, n(10)}, "mom(close,10)", 0, false},
		{"correlation", [][]float64{c, bars.Volume, n(20)}, "correlation(close,volume,20)", 0, false},
		{"tr", [][]float64{n(0)}, "tr", 0, false},
		{"accdist", nil, "accdist", 0, false},
		{"atr", [][]float64{n(14)}, "atr(14)", 0, true},
		{"macd", [][]float64{c, n(12), n(26), n(9)}, "macd", 0, true},
		{"macd", [][]float64{c, n(12), n(26), n(9)}, "macd.signal", 1, true},
		{"dmi", [][]float64{n(14), n(14)}, "plus", 0, true},
		{"dmi", [][]float64{n(14), n(14)}, "minus", 1, true},
		{"dmi", [][]float64{n(14), n(14)}, "adx", 2, true},
	} {
		got, want := columnsOf(t, test.fn, bars, results(test.fn), test.args...)[test.result], columns[test.column]
		compared := 0
		for i := range want {
			if math.IsNaN(want[i]) || test.fades && i < len(want)-100 {
				continue
			}
			compared++
			if d := math.Abs(got[i] - want[i]); !(d <= 1e-8*math.Max(1, math.Abs(want[i]))) {
				t.Errorf("%s: bar %d of %q is %v, TA-Lib's %v", test.fn, i, test.column, got[i], want[i])
				break
			}
		}
		if compared < 100 {
			t.Errorf("%s: only %d bars of %q are compared", test.fn, compared, test.column)
		}
	}
}

func readTALib(t *testing.T) (*backtest.Bars, map[string][]float64) {
	t.Helper()
	file, err := os.Open("testdata/talib.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns, time := map[string][]float64{}, make([]int64, len(rows)-1)
	for i, row := range rows[1:] {
		time[i] = int64(i+1) * 60e6
		for j, name := range rows[0] {
			v, err := strconv.ParseFloat(row[j], 64)
			if err != nil {
				t.Fatal(err)
			}
			columns[name] = append(columns[name], v)
		}
	}
	bars, err := backtest.NewBars(time, columns["open"], columns["high"], columns["low"], columns["close"], columns["volume"])
	if err != nil {
		t.Fatal(err)
	}
	return bars, columns
}
