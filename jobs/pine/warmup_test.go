package pine

import (
	"slices"
	"testing"

	"millrace/jobs/backtest"
)

func TestWarmupIsWhatOffsetsAndLengthsReach(t *testing.T) {
	bars := walkBars(3, 5000)
	for _, c := range []struct {
		name, lines, cond string
		want              int
	}{
		{"a comparison of one bar", "", "close > open", 0},
		{"an offset", "", "close > close[7]", 7},
		{"offsets add up", "x = (close - close[3])[4]", "x > 0", 7},
		{"a window", "", "close > ta.sma(close, 20)", 21},
		{"a window of an input", "n = input.int(30)", "close > ta.sma(close, n)", 51},
		{"a window of a window", "", "close > ta.sma(ta.highest(high, 10), 20)", 32},
		{"the longer of two", "k = close > 50 ? 9 : 5", "close > ta.highest(high, k)[1]", 11},
		{"recursive laws fade", "", "ta.rsi(close, 14) > 50", 40 * 15},
		{"a variable that keeps its value", "var n = 0\nif close > open\n    n += 1", "n > 3", 5000},
		{"the bar's number", "", "bar_index % 5 == 0", 5000},
		{"a count", "", "ta.barssince(close > open) > 2", 5000},
		{"a law in a branch", "x = 0.0\nif close > open\n    x := ta.sma(close, 3)", "x > 1", 5000},
		{"the position is that of the window", "", "strategy.position_size == 0 and close > close[2]", 2},
	} {
		s := NewStrategy("x", mustCompile(t, v6+c.lines+"\nif "+c.cond+"\n    strategy.entry(\"L\", strategy.long)\n"))
		longest := backtest.Params{}
		for range s.Params() {
			longest = append(longest, 50)
		}
		if got := s.Warmup(bars, longest); got != c.want {
			t.Errorf("%s: %d bars, want %d", c.name, got, c.want)
		}
	}
}

// A window traded with its warm-up only gives the trades of one traded with all bars before it.
func TestAWindowNeedsNoMoreThanItsWarmup(t *testing.T) {
	bars := walkBars(5, 4000)
	traded, short := 0, 0
	scripts := []string{
		v6 + "f = ta.ema(close, 5)\ns = ta.ema(close, 13)\nif ta.crossover(f, s)\n    strategy.entry(\"L\", strategy.long)\nif ta.crossunder(f, s)\n    strategy.close(\"L\")\n",
		v6 + "r = ta.rsi(close, 7)\n[m, u, l] = ta.bb(close, 20, 2)\nif r < 40 and close < m\n    strategy.entry(\"L\", strategy.long)\nstrategy.exit(\"X\", \"L\", stop=strategy.position_avg_price - 2 * ta.atr(10), limit=u)\n",
	}
	for seed := range uint64(60) {
		scripts = append(scripts, randomScript(seed))
	}
	from := 3000
	for _, source := range scripts {
		p := mustCompile(t, source)
		warmup := NewStrategy("x", p).Warmup(bars, nil)
		if warmup > from {
			continue
		}
		short++
		all, err := runTrades(p, bars, backtest.Window{From: from, To: bars.Len()})
		if err != nil {
			continue
		}
		part, err := runTrades(p, bars.Slice(from-warmup, bars.Len()), backtest.Window{From: warmup, To: bars.Len() - from + warmup})
		if err != nil {
			t.Fatal(err)
		}
		for i := range part {
			part[i].EntryBar += from - warmup
			part[i].ExitBar += from - warmup
		}
		if !slices.Equal(all, part) {
			t.Errorf("with %d bars before the window: %s\n%s", warmup, firstDifference(all, part), source)
		}
		traded += len(all)
	}
	if short < 2 || traded < 50 {
		t.Errorf("the scripts test too little: %d with a warm-up that ends, %d trades", short, traded)
	}
}
