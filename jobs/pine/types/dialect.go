package types

import "strings"

// before5 maps unprefixed functions and variables of versions 1 to 4 to their later names.
var before5 = func() map[string]string {
	m := map[string]string{
		"security": "request.security", "study": "indicator", "tostring": "str.tostring", "tonumber": "str.tonumber",
		"heikinashi": "ticker.heikinashi", "renko": "ticker.renko", "kagi": "ticker.kagi", "linebreak": "ticker.linebreak",
		"pointfigure": "ticker.pointfigure", "tickerid": "ticker.new", "rsi": "ta.rsi", "financial": "request.financial",
		"quandl": "request.quandl", "dividends": "request.dividends", "splits": "request.splits", "earnings": "request.earnings",
		"sum": "math.sum",
	}
	for _, name := range strings.Fields(`accdist alma atr barssince bb bbw cci change cmo cog correlation cross crossover crossunder cum
		dev dmi ema falling highest highestbars hma iii kc kcw linreg lowest lowestbars macd median mfi mode mom nvi obv
		percentile_linear_interpolation percentile_nearest_rank percentrank pivothigh pivotlow pvi pvt range rising rma roc sar sma
		stdev stoch supertrend swma tr tsi valuewhen variance vwap vwma wad wma wpr wvad rci`) {
		m[name] = "ta." + name
	}
	for _, name := range strings.Fields(`abs acos asin atan avg ceil cos exp floor log log10 max min pow random round
		round_to_mintick sign sin sqrt tan todegrees toradians`) {
		m[name] = "math." + name
	}
	return m
}()

// variablesBefore4 maps variables of versions 1 to 3; scripts marked as version 4 use some of them.
var variablesBefore4 = func() map[string]string {
	m := map[string]string{
		"n": "bar_index", "tickerid": "syminfo.tickerid", "ticker": "syminfo.ticker", "period": "timeframe.period",
		"interval": "timeframe.multiplier", "isintraday": "timeframe.isintraday", "isdaily": "timeframe.isdaily",
		"isweekly": "timeframe.isweekly", "ismonthly": "timeframe.ismonthly", "isdwm": "timeframe.isdwm",
	}
	for name := range colors {
		m[name] = "color." + name
	}
	for _, day := range days {
		m[day] = "dayofweek." + day
	}
	return m
}()

// plain are names of versions 1 to 3 that only describe drawings or inputs; they stand for themselves.
var plain = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`line stepline histogram cross area areabr columns circles linebr dashed dotted solid
		integer float bool resolution session symbol source string price time color`) {
		m[name] = true
	}
	return m
}()

// Modern gives the name of version 6 for a name of an older version; call says that it is called.
func Modern(name string, version int, call bool) string {
	if version >= 5 {
		return name
	}
	if !call && version <= 4 {
		if m, ok := variablesBefore4[name]; ok {
			return m
		}
	}
	if m, ok := before5[name]; ok {
		switch {
		case call:
			return m
		case Variable(m) != nil:
			return m
		}
	}
	return name
}

// PlainWord reports whether an unprefixed name of versions 1 to 4 stands for itself, as integer in
// input(type=integer) does.
func PlainWord(name string, version int) bool {
	if version <= 4 && strings.HasPrefix(name, "input.") {
		return true
	}
	return version <= 4 && plain[name]
}
