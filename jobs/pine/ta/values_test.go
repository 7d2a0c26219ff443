package ta_test

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ta"
)

// valuesVariable names the folder of values that a charting platform plotted: CSV files packed by xz, with bars beside the values.
// They are not part of this repository.
const valuesVariable = "MILLRACE_PINE_VALUES"

// plotted is one function of one of the files and the columns that it should equal.
type plotted struct {
	file    string
	fn      string
	args    []float64 // behind the series
	series  []string  // names of the leading series
	columns []string  // of the results; "" is not plotted
}

func plottedValues() []plotted {
	x := func(s string) []string { return []string{s} }
	return []plotted{
		{"ma", "sma", []float64{10}, x("close"), x("ta.sma(close, 10)")},
		{"ma", "sma", []float64{20}, x("hl2"), x("ta.sma(hl2, 20)")},
		{"ma", "sma", []float64{15}, x("hlc3"), x("ta.sma(hlc3, 15)")},
		{"ma", "ema", []float64{20}, x("close"), x("ta.ema(close, 20)")},
		{"ma", "ema", []float64{10}, x("ohlc4"), x("ta.ema(ohlc4, 10)")},
		{"ma", "rma", []float64{5}, x("hlcc4"), x("ta.rma(hlcc4, 5)")},
		{"ma", "rma", []float64{15}, x("high"), x("ta.rma(high, 15)")},
		{"ma", "alma", []float64{5, 0.85, 6, 0}, x("close"), x("ta.alma(close, 5, 0.85, 6)")},
		{"ma", "alma", []float64{10, 0.55, 12, 0}, x("close"), x("ta.alma(close, 10, 0.55, 12)")},
		{"ma", "wma", []float64{5}, x("close"), x("ta.wma(close, 5)")},
		{"ma", "wma", []float64{20}, x("close"), x("ta.wma(close, 20)")},
		{"ma", "hma", []float64{9}, x("close"), x("ta.hma(close, 9)")},
		{"ma", "hma", []float64{20}, x("close"), x("ta.hma(close, 20)")},
		{"ma", "swma", nil, x("hlc3"), x("ta.swma(hlc3)")},
		{"ma", "vwma", []float64{20}, x("close"), x("ta.vwma(close, 20)")},
		{"bb", "bb", []float64{20, 2}, x("close"), []string{"ta.bb(close, 20, 2).base", "ta.bb(close, 20, 2).upper", "ta.bb(close, 20, 2).lower"}},
		{"bb", "bbw", []float64{20, 2.1}, x("close"), x("ta.bbw(close, 20, 2.1)")},
		{"cci+cmo+cog", "cmo", []float64{20}, x("close"), x("ta.cmo(close, 20)")},
		{"cci+cmo+cog", "cci", []float64{20}, x("close"), x("ta.cci(close, 20)")},
		{"cci+cmo+cog", "cog", []float64{21}, x("close"), x("ta.cog(close, 21)")},
		{"accdist+pvi+pvt+wad+wvad", "accdist", nil, nil, x("ta.accdist")},
		{"accdist+pvi+pvt+wad+wvad", "pvi", nil, nil, x("ta.pvi")},
		{"accdist+pvi+pvt+wad+wvad", "pvt", nil, nil, x("ta.pvt")},
		{"accdist+pvi+pvt+wad+wvad", "wad", nil, nil, x("ta.wad")},
		{"accdist+pvi+pvt+wad+wvad", "wvad", nil, nil, x("ta.wvad")},
		{"iii+nvi+obv", "iii", nil, nil, x("ta.iii")},
		{"iii+nvi+obv", "nvi", nil, nil, x("ta.nvi")},
		{"iii+nvi+obv", "obv", nil, nil, x("ta.obv")},
		{"dmi", "dmi", []float64{17, 14}, nil, []string{"ta.dmi(17, 14).dip", "ta.dmi(17, 14).dim", "ta.dmi(17, 14).adx"}},
		{"highest+lowest", "highest", []float64{10}, x("high"), x("ta.highest(10)")},
		{"highest+lowest", "highest", []float64{10}, x("close"), x("ta.highest(close, 10)")},
		{"highest+lowest", "lowest", []float64{10}, x("low"), x("ta.lowest(10)")},
		{"highest+lowest", "lowest", []float64{10}, x("close"), x("ta.lowest(close, 10)")},
		{"highest+lowest", "highestbars", []float64{10}, x("high"), x("ta.highestbars(10)")},
		{"highest+lowest", "highestbars", []float64{10}, x("close"), x("ta.highestbars(close, 10)")},
		{"highest+lowest", "lowestbars", []float64{10}, x("low"), x("ta.lowestbars(10)")},
		{"highest+lowest", "lowestbars", []float64{10}, x("close"), x("ta.lowestbars(close, 10)")},
		{"kc", "kc", []float64{20, 2, 1}, x("close"), []string{"ta.kc(close, 20, 2).base", "ta.kc(close, 20, 2).upper", "ta.kc(close, 20, 2).lower"}},
		{"kc", "kcw", []float64{20, 2.1, 0}, x("close"), x("ta.kcw(close, 20, 2.1, useTrueRange=false)")},
		{"linreg", "linreg", []float64{20, 0}, x("close"), x("ta.linreg(close, 20, 0)")},
		{"linreg", "linreg", []float64{20, 10}, x("close"), x("ta.linreg(close, 20, 10)")},
		{"macd", "macd", []float64{12, 26, 9}, x("close"), []string{"ta.macd(close, 12, 26, 9).macd", "ta.macd(close, 12, 26, 9).signal", "ta.macd(close, 12, 26, 9).hist"}},
		{"mfi+rsi+stoch", "mfi", []float64{14}, x("close"), x("ta.mfi(close, 14)")},
		{"mfi+rsi+stoch", "rsi", []float64{14}, x("close"), x("ta.rsi(close, 14)")},
		{"mfi+rsi+stoch", "stoch", []float64{20}, []string{"close", "high", "low"}, x("ta.stoch(close, high, low, 20)")},
		{"min+max+median+mode", "min", nil, x("close"), x("min(close)")},
		{"min+max+median+mode", "max", nil, x("close"), x("max(close)")},
		{"min+max+median+mode", "median", []float64{20}, x("close"), x("median(close)")},
		{"min+max+median+mode", "mode", []float64{20}, x("close"), x("mode(close)")},
		{"pivot", "pivothigh", []float64{10, 5}, x("high"), x("ta.pivothigh(10, 5)")},
		{"pivot", "pivothigh", []float64{10, 5}, x("close"), x("ta.pivothigh(close, 10, 5)")},
		{"pivot", "pivotlow", []float64{10, 5}, x("low"), x("ta.pivotlow(10, 5)")},
		{"pivot", "pivotlow", []float64{10, 5}, x("close"), x("ta.pivotlow(close, 10, 5)")},
		{"ppp", "percentile_linear_interpolation", []float64{20, 20}, x("close"), x("ta.percentile_linear_interpolation(close, 20, 30)")},
		{"ppp", "percentile_nearest_rank", []float64{20, 20}, x("close"), x("ta.percentile_nearest_rank(close, 20, 0)")},
		{"ppp", "percentrank", []float64{33}, x("close"), x("ta.percentrank(close, 33)")},
		{"range", "range", []float64{20}, x("close"), x("ta.range(close, 20)")},
		{"rci", "rci", []float64{5}, x("close"), x("ta.rci(close, 5)")},
		{"rci", "rci", []float64{20}, x("close"), x("ta.rci(close, 20)")},
		{"rci", "rci", []float64{20}, x("hl2"), x("ta.rci(hl2, 20)")},
		{"correlation", "correlation", []float64{20}, []string{"sma(close,20)", "ema(close,10)"}, x("correlation")},
		{"cross", "cross", nil, []string{"ema(close,5)", "ema(close,11)"}, x("ta.cross(ema1, ema2)")},
		{"cross", "crossover", nil, []string{"ema(close,5)", "ema(close,11)"}, x("ta.crossover(ema1, ema2)")},
		{"cross", "crossunder", nil, []string{"ema(close,5)", "ema(close,11)"}, x("ta.crossunder(ema1, ema2)")},
		{"falling+rising", "falling", []float64{5}, x("ema(close,20)"), x("ta.falling(ema, 5)")},
		{"falling+rising", "rising", []float64{5}, x("ema(close,20)"), x("ta.rising(ema, 5)")},
		{"valuewhen", "valuewhen", []float64{1}, []string{"cross(sma7,sma14)", "close"}, x("ta.valuewhen(ta.cross(slow, fast), close, 1)")},
		{"vwap", "vwap", []float64{2}, []string{"close", "anchor 240"}, x(`ta.vwap(close, timeframe.change(&quot;240&quot;))`)},
		{"vwap", "vwap", []float64{2}, []string{"close", "anchor 360"}, []string{`ta.vwap(close, timeframe.change(&quot;360&quot;), 2.0).vwap`, `ta.vwap(close, timeframe.change(&quot;360&quot;), 2.0).upper_band`, `ta.vwap(close, timeframe.change(&quot;360&quot;), 2.0).lower_band`}},
		{"vwap", "vwap", []float64{1}, []string{"close", "anchor 1440"}, x("ta.vwap(close)")},
		{"valuewhen_na", "valuewhen", []float64{0}, []string{"third bars", "close, na on even bars"}, x("v0")},
		{"valuewhen_na", "valuewhen", []float64{1}, []string{"third bars", "close, na on even bars"}, x("v1")},
		{"valuewhen_na", "valuewhen", []float64{2}, []string{"third bars", "close, na on even bars"}, x("v2")},
		{"valuewhen_na", "valuewhen", []float64{0}, []string{"third bars", "close"}, x("w0")},
		{"supertrend", "supertrend", []float64{3, 10}, nil, []string{"ta.supertrend(3, 10)", "direction"}},
		{"sar", "sar", []float64{0.02, 0.02, 0.2}, nil, x("ta.sar(0.02, 0.02, 0.2)")},
		{"tr", "tr", []float64{0}, nil, x("ta.tr(false)")},
		{"tr", "tr", []float64{1}, nil, x("ta.tr(true)")},
		{"tr", "atr", []float64{14}, nil, x("ta.atr(14)")},
		{"tsi", "tsi", []float64{12, 26}, x("close"), x("ta.tsi(close, 12, 26)")},
		{"wpr", "wpr", []float64{20}, nil, x("ta.wpr(20)")},
	}
}

func TestValuesEqualWhatThePlatformPlotted(t *testing.T) {
	dir := os.Getenv(valuesVariable)
	if dir == "" {
		t.Skipf("%s names no folder: indicator values are NOT compared with those of the platform", valuesVariable)
	}
	for _, p := range plottedValues() {
		t.Run(p.fn+"/"+p.columns[0], func(t *testing.T) {
			bars, columns := readValues(t, filepath.Join(dir, p.file+".csv.xz"))
			derive(t, bars, columns)
			args := make([][]float64, 0, 5)
			for _, s := range p.series {
				args = append(args, columns[s])
			}
			for _, v := range p.args {
				args = append(args, []float64{v})
			}
			out := columnsOf(t, p.fn, bars, max(len(p.columns), results(p.fn)), args...)
			for i, name := range p.columns {
				tolerance := 0.0
				if p.fn == "alma" { // its exponentials differ in the last bit
					tolerance = 1e-15
				}
				compare(t, name, out[i], columns[name], tolerance)
			}
		})
	}
}

func results(fn string) int {
	for _, l := range ta.Laws() {
		if l.Name == fn {
			return l.Results
		}
	}
	return 0
}

func columnsOf(t *testing.T, fn string, bars *backtest.Bars, n int, args ...[]float64) [][]float64 {
	t.Helper()
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, bars.Len())
	}
	if err := ta.Column(fn, bars, args, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// derive adds the series that some columns were plotted of, and brings plotted bools to 0 and 1.
func derive(t *testing.T, bars *backtest.Bars, columns map[string][]float64) {
	t.Helper()
	of := func(fn string, args ...[]float64) []float64 { return columnsOf(t, fn, bars, results(fn), args...)[0] }
	n := func(v float64) []float64 { return []float64{v} }
	closes := columns["close"]
	for _, l := range []float64{5, 10, 11, 20} {
		columns[fmt.Sprintf("ema(close,%v)", l)] = of("ema", closes, n(l))
	}
	columns["sma(close,20)"] = of("sma", closes, n(20))
	columns["cross(sma7,sma14)"] = of("cross", of("sma", closes, n(7)), of("sma", closes, n(14)))
	for _, minutes := range []int64{240, 360, 1440} {
		anchor := make([]float64, bars.Len())
		for i := 1; i < len(anchor); i++ {
			frame := func(i int) int64 { return (bars.Time[i] - bars.Time[0]) / (minutes * 60e6) }
			if frame(i) != frame(i-1) {
				anchor[i] = 1
			}
		}
		if minutes == 1440 {
			anchor[0] = 1 // the day begins with the file; the others' first change comes later
		}
		columns[fmt.Sprint("anchor ", minutes)] = anchor
	}
	for i, c := range closes {
		columns["third bars"] = append(columns["third bars"], float64(1-min(1, i%3)))
		if i%2 == 0 {
			c = math.NaN()
		}
		columns["close, na on even bars"] = append(columns["close, na on even bars"], c)
	}
	for name, column := range columns {
		if strings.HasPrefix(name, "ta.cross") || strings.HasPrefix(name, "ta.falling") || strings.HasPrefix(name, "ta.rising") {
			for i, v := range column {
				column[i] = math.Ceil(math.Abs(v))
			}
		}
	}
	up, down := columns["ta.supertrend(3, 10).up"], columns["ta.supertrend(3, 10).down"]
	for i := range up {
		trend, direction := down[i], 1.0
		if !math.IsNaN(up[i]) {
			trend, direction = up[i], -1
		}
		columns["ta.supertrend(3, 10)"] = append(columns["ta.supertrend(3, 10)"], trend)
		columns["direction"] = append(columns["direction"], direction)
	}
}

// compare reports the first relative difference beyond the tolerance.
func compare(t *testing.T, name string, got, want []float64, tolerance float64) {
	t.Helper()
	if want == nil {
		t.Fatalf("no column %q", name)
	}
	exact, worst := 0, 0.0
	for i := range want {
		if math.IsNaN(got[i]) && math.IsNaN(want[i]) || got[i] == want[i] {
			exact++
			continue
		}
		d := math.Abs(got[i]-want[i]) / math.Max(1, math.Abs(want[i]))
		if !(d <= tolerance) {
			t.Errorf("%s: bar %d is %v, want %v", name, i, got[i], want[i])
			return
		}
		worst = math.Max(worst, d)
	}
	t.Logf("%s: %d of %d equal to the bit, worst relative difference %.1e", name, exact, len(want), worst)
}

// readValues reads a file into bars and columns by name, with the means of prices added.
func readValues(t *testing.T, path string) (*backtest.Bars, map[string][]float64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := xz.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]float64{}
	for j, name := range rows[0] {
		for _, row := range rows[1:] {
			v, err := strconv.ParseFloat(row[j], 64)
			if err != nil {
				t.Fatal(err)
			}
			columns[name] = append(columns[name], v)
		}
	}
	time := make([]int64, len(rows)-1)
	o, h, l, c := columns["open"], columns["high"], columns["low"], columns["close"]
	for i := range time {
		time[i] = int64(columns["time"][i]) * 1e6
		columns["hl2"] = append(columns["hl2"][:i], (h[i]+l[i])/2)
		columns["hlc3"] = append(columns["hlc3"], (h[i]+l[i]+c[i])/3)
		columns["hlcc4"] = append(columns["hlcc4"], (h[i]+l[i]+2*c[i])/4)
		columns["ohlc4"] = append(columns["ohlc4"], (o[i]+h[i]+l[i]+c[i])/4)
	}
	bars, err := backtest.NewBars(time, o, h, l, c, columns["Volume"])
	if err != nil {
		t.Fatal(err)
	}
	return bars, columns
}
