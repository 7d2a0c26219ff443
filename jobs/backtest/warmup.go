package backtest

// decayPeriods is after how many periods a recursive mean has lost its start: in an exponential mean
// of n bars, those more than 10·n back weigh 2·10⁻⁹, in Wilder's 5·10⁻⁵.
const decayPeriods = 10

// Warmup is how many bars before its first trade a strategy needs, so that a longer history does not
// change its signals, when its parameters are at most longest. For strategies on
// recursive means, and stops on average true ranges, that holds up to the weight left after decayPeriods.
func Warmup(b *Bars, s Strategy, longest Params, stops *Stops) int {
	if own, ok := s.(warmer); ok {
		return own.Warmup(b, longest)
	}
	bars := 0
	for i, spec := range s.Params() {
		if spec.Kind == KindInt { // periods; levels are not whole numbers
			bars += int(longest[i])
		}
	}
	switch s.(type) {
	case bbReversal, breakout52w, donchianBreakout, openingRange, smaCross:
	default:
		bars *= decayPeriods
	}
	if stops.active() && stops.usesATR() {
		bars = max(bars, decayPeriods*stops.atrPeriod())
	}
	bars += 2 // a cross looks at the bar before
	if b.interval > 0 && b.interval < microsPerDay {
		bars += int(microsPerDay / b.interval) // so that the first day is whole
	}
	return bars
}
