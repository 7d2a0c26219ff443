package pine

import (
	"testing"
	"time"

	"millrace/jobs/backtest"
)

const crossScript = `//@version=6
strategy("cross")
fast = input.int(10, "Fast", minval=1)
slow = input.int(30, "Slow", minval=1)
a = ta.sma(close, fast)
b = ta.sma(close, slow)
if ta.crossover(a, b)
    strategy.entry("L", strategy.long)
if ta.crossunder(a, b)
    strategy.entry("S", strategy.short)
`

const bracketScript = `//@version=6
strategy("bracket")
fast = input.int(10, "Fast", minval=1)
slow = input.int(30, "Slow", minval=1)
width = input.float(2.0, "Width", minval=0.1)
a = ta.ema(close, fast)
b = ta.ema(close, slow)
range = ta.atr(14) * width
if ta.crossover(a, b) and strategy.position_size == 0
    strategy.entry("L", strategy.long)
    strategy.exit("X", "L", stop=close - range, limit=close + 2 * range)
`

const residueScript = `//@version=6
strategy("residue")
fast = input.int(10, "Fast", minval=1)
slow = input.int(30, "Slow", minval=1)
a = ta.ema(close, fast)
b = ta.ema(close, slow)
range = ta.atr(14)
var float best = na
var int held = 0
if strategy.position_size == 0
    best := na
    held := 0
if strategy.position_size > 0
    best := math.max(nz(best, high), high)
    held += 1
    if close < best - 2 * range or held > 50
        strategy.close("L")
    strategy.exit("X", "L", stop=strategy.position_avg_price - 3 * range)
if ta.crossover(a, b) and strategy.position_size == 0
    strategy.entry("L", strategy.long)
`

// benchSweep runs trials of a grid over two lengths with full metrics, and reports the time of a bar of a trial.
func benchSweep(b *testing.B, source, class string) {
	p, diags := Compile(source)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	if p.Class() != class {
		b.Fatalf("class %s, not %s", p.Class(), class)
	}
	bars := walkBars(3, 50_000)
	cache := backtest.NewIndicatorCache(bars)
	trader := NewStrategy("bench", p).Trader(cache, backtest.Config{Calendar: backtest.CalendarContinuous})
	w := backtest.Window{From: 0, To: bars.Len()}
	var m backtest.Metrics
	trial := func(i int) {
		trader.Prepare(backtest.Params{float64(5 + i%10), float64(20 + i/10%10*5), 2})
		trader.Simulate(w, &m)
		if trader.Err() != nil || m.Trades == 0 {
			b.Fatal(trader.Err(), m.Trades)
		}
	}
	for i := range 100 {
		trial(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	best := time.Hour // a trial is short: the best of many is that of a quiet machine
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		trial(i)
		best = min(best, time.Since(began))
	}
	b.ReportMetric(float64(best.Nanoseconds())/float64(bars.Len()), "best-ns/bar")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bars.Len()), "ns/bar")
}

func BenchmarkSweepMarketOnly(b *testing.B) { benchSweep(b, crossScript, "S") }
func BenchmarkSweepBracket(b *testing.B)    { benchSweep(b, bracketScript, "B") }
func BenchmarkSweepResidue(b *testing.B)    { benchSweep(b, residueScript, "P") }

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, diags := Compile(residueScript); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}
