package backtest

// fade is in how many periods a recursive mean forgets: what an exponential mean of n bars still
// holds of the bars more than 10·n back weighs 2·10⁻⁹, Wilder's 5·10⁻⁵.
const fade = 10

// Warmup is how many bars before its first trade a strategy has to see for its signals to be what
// they are with any longer history, when its parameters are at most longest. For strategies on
// recursive means, and stops on average true ranges, that holds up to what fade leaves.
func Warmup(b *Bars, s Strategy, longest Params, stops *Stops) int {
	bars := 0
	for i, spec := range s.Params() {
		if spec.Kind == KindInt { // periods; levels are not whole numbers
			bars += int(longest[i])
		}
	}
	switch s.(type) {
	case bbReversal, breakout52w, donchianBreakout, openingRange, smaCross:
	default:
		bars *= fade
	}
	if stops.active() && stops.usesATR() {
		bars = max(bars, fade*stops.atrPeriod())
	}
	bars += 2 // a cross looks at the bar before
	if b.interval > 0 && b.interval < microsPerDay {
		bars += int(microsPerDay / b.interval) // so that the first day is whole
	}
	return bars
}
