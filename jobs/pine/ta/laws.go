package ta

import (
	"math"

	"millrace/jobs/backtest"
)

// Laws is the table of functions, sorted by name.
func Laws() []Law {
	xn, n := []string{"source", "length"}, []string{"length"}
	x, none := []string{"source"}, []string{}
	ab := []string{"source1", "source2"}
	return []Law{
		{Name: "accdist", Args: none, Results: 1, Bars: true},
		{Name: "alma", Args: []string{"series", "length", "offset", "sigma", "floor"}, Results: 1},
		{Name: "atr", Args: n, Results: 1, Bars: true},
		{Name: "barssince", Args: []string{"condition"}, Results: 1},
		{Name: "bb", Args: []string{"series", "length", "mult"}, Results: 3},
		{Name: "bbw", Args: []string{"series", "length", "mult"}, Results: 1},
		{Name: "cci", Args: xn, Results: 1},
		{Name: "change", Args: xn, Results: 1},
		{Name: "cmo", Args: xn, Results: 1},
		{Name: "cog", Args: xn, Results: 1},
		{Name: "correlation", Args: []string{"source1", "source2", "length"}, Results: 1},
		{Name: "cross", Args: ab, Results: 1, Bool: true},
		{Name: "crossover", Args: ab, Results: 1, Bool: true},
		{Name: "crossunder", Args: ab, Results: 1, Bool: true},
		{Name: "cum", Args: x, Results: 1},
		{Name: "dev", Args: xn, Results: 1},
		{Name: "dmi", Args: []string{"diLength", "adxSmoothing"}, Results: 3, Bars: true},
		{Name: "ema", Args: xn, Results: 1},
		{Name: "falling", Args: xn, Results: 1, Bool: true},
		{Name: "fixnan", Args: x, Results: 1},
		{Name: "highest", Args: xn, Results: 1},
		{Name: "highestbars", Args: xn, Results: 1},
		{Name: "hma", Args: xn, Results: 1},
		{Name: "iii", Args: none, Results: 1, Bars: true},
		{Name: "kc", Args: []string{"series", "length", "mult", "useTrueRange"}, Results: 3, Bars: true},
		{Name: "kcw", Args: []string{"series", "length", "mult", "useTrueRange"}, Results: 1, Bars: true},
		{Name: "linreg", Args: []string{"source", "length", "offset"}, Results: 1},
		{Name: "lowest", Args: xn, Results: 1},
		{Name: "lowestbars", Args: xn, Results: 1},
		{Name: "macd", Args: []string{"source", "fastlen", "slowlen", "siglen"}, Results: 3},
		{Name: "max", Args: x, Results: 1},
		{Name: "median", Args: xn, Results: 1},
		{Name: "mfi", Args: xn, Results: 1, Bars: true},
		{Name: "min", Args: x, Results: 1},
		{Name: "mode", Args: xn, Results: 1},
		{Name: "mom", Args: xn, Results: 1},
		{Name: "nvi", Args: none, Results: 1, Bars: true},
		{Name: "obv", Args: none, Results: 1, Bars: true},
		{Name: "percentile_linear_interpolation", Args: []string{"source", "length", "percentage"}, Results: 1},
		{Name: "percentile_nearest_rank", Args: []string{"source", "length", "percentage"}, Results: 1},
		{Name: "percentrank", Args: xn, Results: 1},
		{Name: "pivothigh", Args: []string{"source", "leftbars", "rightbars"}, Results: 1},
		{Name: "pivotlow", Args: []string{"source", "leftbars", "rightbars"}, Results: 1},
		{Name: "pvi", Args: none, Results: 1, Bars: true},
		{Name: "pvt", Args: none, Results: 1, Bars: true},
		{Name: "range", Args: xn, Results: 1},
		{Name: "rci", Args: xn, Results: 1},
		{Name: "rising", Args: xn, Results: 1, Bool: true},
		{Name: "rma", Args: xn, Results: 1},
		{Name: "roc", Args: xn, Results: 1},
		{Name: "rsi", Args: xn, Results: 1},
		{Name: "sar", Args: []string{"start", "inc", "max"}, Results: 1, Bars: true},
		{Name: "sma", Args: xn, Results: 1},
		{Name: "stdev", Args: []string{"source", "length", "biased"}, Results: 1},
		{Name: "stoch", Args: []string{"source", "high", "low", "length"}, Results: 1},
		{Name: "sum", Args: xn, Results: 1},
		{Name: "supertrend", Args: []string{"factor", "atrPeriod"}, Results: 2, Bars: true},
		{Name: "swma", Args: x, Results: 1},
		{Name: "tr", Args: []string{"handle_na"}, Results: 1, Bars: true},
		{Name: "tsi", Args: []string{"source", "short_length", "long_length"}, Results: 1},
		{Name: "valuewhen", Args: []string{"condition", "source", "occurrence"}, Results: 1},
		{Name: "variance", Args: []string{"source", "length", "biased"}, Results: 1},
		{Name: "vwap", Args: []string{"source", "anchor", "stdev_mult"}, Results: 3, Bars: true},
		{Name: "vwma", Args: xn, Results: 1, Bars: true},
		{Name: "wad", Args: none, Results: 1, Bars: true},
		{Name: "wma", Args: xn, Results: 1},
		{Name: "wpr", Args: n, Results: 1, Bars: true},
		{Name: "wvad", Args: none, Results: 1, Bars: true},
	}
}

// New is a kernel of the function for one call site, nil when the name is unknown. b are the chart's
// bars, which a function of Law.Bars reads.
func New(name string, b *backtest.Bars) Kernel {
	if s := newSingle(name, b); s != nil {
		return byLength{s}
	}
	switch name {
	case "atr":
		return ofBars{&atr{bars: b}}
	case "wpr":
		return ofBars{newWPR(b)}
	case "tr":
		return &steps{step: func(bar int, args, out []float64) { out[0] = trueRange(b, bar, args[0] != 0) }, reset: func() {}}
	case "alma":
		return &alma{}
	case "macd":
		return &macd{}
	case "swma":
		return newSWMA()
	case "stdev", "variance":
		return &deviation{root: name == "stdev"}
	case "bb", "bbw":
		return &bands{width: name == "bbw"}
	case "stoch":
		return newStoch()
	case "supertrend":
		return &supertrend{bars: b, atr: atr{bars: b}}
	case "dmi":
		return &dmi{bars: b}
	case "sar":
		return &sar{bars: b, value: math.NaN()}
	case "kc", "kcw":
		return &channel{bars: b, width: name == "kcw"}
	case "tsi":
		return &tsi{}
	case "linreg":
		return &linreg{}
	case "correlation":
		return &correlation{}
	case "percentile_linear_interpolation", "percentile_nearest_rank":
		return &percentile{linear: name == "percentile_linear_interpolation"}
	}
	return newEvent(name, b)
}

// newSingle is the function of a series and a length with that name.
func newSingle(name string, b *backtest.Bars) single {
	switch name {
	case "sum":
		return &sum{}
	case "sma":
		return &sma{}
	case "ema":
		return &ema{}
	case "rma":
		return &rma{}
	case "wma":
		return &wma{}
	case "hma":
		return &hma{}
	case "vwma":
		return &vwma{bars: b}
	case "rsi":
		return &rsi{}
	case "change", "mom":
		return &difference{}
	case "roc":
		return &difference{ratio: true}
	case "cci":
		return &cci{}
	case "dev":
		return &dev{}
	case "cmo":
		return &cmo{}
	case "mfi":
		return &mfi{bars: b}
	case "cog":
		return &cog{}
	case "rci":
		return &rci{}
	case "rising":
		return &trend{sign: 1}
	case "falling":
		return &trend{sign: -1}
	case "highest", "highestbars":
		return &extreme{sign: 1, age: name == "highestbars"}
	case "lowest", "lowestbars":
		return &extreme{sign: -1, age: name == "lowestbars"}
	case "median":
		return &sorted{of: median}
	case "mode":
		return &sorted{of: mode}
	case "range":
		return &sorted{of: span}
	case "percentrank":
		return &percentrank{}
	}
	return nil
}

// newEvent is the function without a length with that name.
func newEvent(name string, b *backtest.Bars) Kernel {
	switch name {
	case "crossover":
		return &crossing{sign: 1}
	case "crossunder":
		return &crossing{sign: -1}
	case "cross":
		return &cross{}
	case "pivothigh":
		return &pivot{sign: 1}
	case "pivotlow":
		return &pivot{sign: -1}
	case "valuewhen":
		return &valuewhen{}
	case "barssince":
		return newBarssince()
	case "cum":
		return newFold(added)
	case "max":
		return newFold(math.Max)
	case "min":
		return newFold(math.Min)
	case "fixnan":
		return newFold(newest)
	case "vwap":
		return &vwap{bars: b}
	case "obv":
		return newCumulative(b, obvStep)
	case "pvt":
		return newCumulative(b, pvtStep)
	case "accdist":
		return newCumulative(b, accdistStep)
	case "wad":
		return newCumulative(b, wadStep)
	case "wvad":
		return perBar(b, wvad)
	case "iii":
		return perBar(b, iii)
	case "nvi":
		return &volumeIndex{bars: b, sign: -1, value: 1}
	case "pvi":
		return &volumeIndex{bars: b, sign: 1, value: 1}
	}
	return nil
}
