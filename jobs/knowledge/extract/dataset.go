package extract

import (
	"fmt"
	"math"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
)

// Bars describes a dataset in words and figures, so that questions about it find it: what it is, how
// its price went over all, and year by year.
func Bars(name, symbol, timeframe string, bars *backtest.Bars) *knowledge.Extracted {
	n := bars.Len()
	first, last := barTime(bars, 0), barTime(bars, n-1)
	e := &knowledge.Extracted{
		Title: fmt.Sprintf("%s (%s, %s bars)", name, symbol, timeframe),
		Metadata: map[string]any{
			"symbol": symbol, "timeframe": timeframe, "bars": n,
			"from": first.Format(time.RFC3339), "to": last.Format(time.RFC3339),
		},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Dataset %s holds price bars (OHLCV) of %s, timeframe %s: %d bars from %s to %s.\n",
		name, symbol, timeframe, n, day(first), day(last))
	high, low := 0, 0
	peak, drop, dropFrom, dropTo, peakAt := bars.Close[0], 0.0, 0, 0, 0
	for i, c := range bars.Close {
		if c > bars.Close[high] {
			high = i
		}
		if c < bars.Close[low] {
			low = i
		}
		if c > peak {
			peak, peakAt = c, i
		}
		if d := 1 - c/peak; d > drop {
			drop, dropFrom, dropTo = d, peakAt, i
		}
	}
	fmt.Fprintf(&b, "The close went from %s to %s, a return of %s.\n", figure(bars.Close[0]), figure(bars.Close[n-1]), percent(bars.Close[n-1]/bars.Close[0]-1))
	fmt.Fprintf(&b, "The highest close was %s on %s, the lowest %s on %s.\n",
		figure(bars.Close[high]), day(barTime(bars, high)), figure(bars.Close[low]), day(barTime(bars, low)))
	if drop > 0 {
		fmt.Fprintf(&b, "The maximum drawdown of the close was %s, from %s to %s.\n", percent(-drop), day(barTime(bars, dropFrom)), day(barTime(bars, dropTo)))
	}
	e.Blocks = []knowledge.Block{{Text: b.String(), Break: knowledge.BreakParagraph}}
	e.Blocks = append(e.Blocks, years(symbol, bars)...)
	e.Tidy()
	return e
}

// years is a line for each calendar year: from the close before it to its last.
func years(symbol string, bars *backtest.Bars) []knowledge.Block {
	var blocks []knowledge.Block
	start, before := 0, bars.Close[0]
	for i := range bars.Close {
		if i+1 < bars.Len() && barTime(bars, i+1).Year() == barTime(bars, i).Year() {
			continue
		}
		high, low := bars.High[start], bars.Low[start]
		for k := start; k <= i; k++ {
			high, low = math.Max(high, bars.High[k]), math.Min(low, bars.Low[k])
		}
		blocks = append(blocks, knowledge.Block{
			Text: fmt.Sprintf("%s in %d: return %s, high %s, low %s, %d bars.", symbol, barTime(bars, i).Year(),
				percent(bars.Close[i]/before-1), figure(high), figure(low), i-start+1),
			Break: knowledge.BreakLine, Position: knowledge.Position{Heading: "Returns by year"},
		})
		before, start = bars.Close[i], i+1
	}
	if len(blocks) > 0 {
		blocks[0].Break = knowledge.BreakSection
	}
	return blocks
}

func barTime(bars *backtest.Bars, i int) time.Time { return time.UnixMicro(bars.Time[i]).UTC() }

func day(t time.Time) string { return t.Format(time.DateOnly) }

func figure(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.5g", v)
}

func percent(v float64) string { return fmt.Sprintf("%+.1f %%", 100*v) }
