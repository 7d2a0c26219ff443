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

// counterScript changes its state on every bar, also without a position: about 30 instructions.
const counterScript = `//@version=6
strategy("counter")
fast = input.int(10, "Fast", minval=1)
slow = input.int(30, "Slow", minval=1)
a = ta.ema(close, fast)
b = ta.ema(close, slow)
range = ta.atr(14)
var float best = na
var float worst = na
var int since = 0
var int trades = 0
since += 1
best := math.max(nz(best, high), high - 0.01 * range * since)
worst := math.min(nz(worst, low), low + 0.01 * range * since)
if strategy.position_size != 0 and since > 10
    if close < best - 3 * range or close > worst + 6 * range
        strategy.close("L")
        since := 0
        trades += 1
        best := high
        worst := low
if ta.crossover(a, b) and strategy.position_size == 0 and since > 5 and trades < 100000
    strategy.entry("L", strategy.long)
    since := 0
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
	benchGrid(b, NewStrategy("bench", p), backtest.Config{Calendar: backtest.CalendarContinuous})
}

// benchGrid runs a grid of 4 by 4 trials again and again. "best-ns/bar" is the mean over the grid of each
// trial's best time, which a busy machine disturbs least; "bars/trade" says how busy the account is.
func benchGrid(b *testing.B, s backtest.Strategy, cfg backtest.Config) {
	b.Helper()
	bars := walkBars(3, 20_000)
	trader := s.Trader(backtest.NewIndicatorCache(bars), cfg)
	w := backtest.Window{From: 0, To: bars.Len()}
	var m backtest.Metrics
	params := backtest.Params{0, 0, 2}
	trial := func(i int) {
		params[0], params[1] = float64(5+3*(i%4)), float64(20+i/4*15)
		trader.Prepare(params)
		trader.Simulate(w, &m)
		if trader.Err() != nil || m.Trades == 0 {
			b.Fatal(trader.Err(), m.Trades)
		}
	}
	trades := 0
	for i := range 16 {
		trial(i)
		trades += m.Trades
	}
	best := [16]time.Duration{}
	for i := range best {
		best[i] = time.Hour
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i = (i + 1) % 16 {
		began := time.Now()
		trial(i)
		best[i] = min(best[i], time.Since(began))
	}
	sum, n := 0.0, 0.0
	for _, d := range best {
		if d < time.Hour {
			sum += float64(d.Nanoseconds())
			n++
		}
	}
	b.ReportMetric(sum/n/float64(bars.Len()), "best-ns/bar")
	b.ReportMetric(float64(16*bars.Len())/float64(trades), "bars/trade")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkSweepMarketOnly(b *testing.B) { benchSweep(b, crossScript, "S") }
func BenchmarkSweepBracket(b *testing.B)    { benchSweep(b, bracketScript, "B") }
func BenchmarkSweepResidue(b *testing.B)    { benchSweep(b, residueScript, "P") }
func BenchmarkSweepCounter(b *testing.B)    { benchSweep(b, counterScript, "P") }

// BenchmarkSweepNative is the native sma_cross over the same bars and grid.
func BenchmarkSweepNative(b *testing.B) {
	s, known := backtest.Lookup("sma_cross")
	if !known {
		b.Fatal("sma_cross is unknown")
	}
	benchGrid(b, s, backtest.Config{
		Calendar: backtest.CalendarContinuous, Side: backtest.SideBoth, Account: backtest.Account{Cash: 1e6, Size: 0.1, Commission: 0},
	})
}

// BenchmarkFirst times the first trial of a script over 50,000 bars, with every column to be computed.
func BenchmarkFirst(b *testing.B) {
	for _, c := range []struct{ name, source string }{{"S", crossScript}, {"B", bracketScript}, {"P", residueScript}} {
		b.Run(c.name, func(b *testing.B) {
			p := mustCompile(b, c.source)
			bars := walkBars(3, 50_000)
			var m backtest.Metrics
			best := time.Hour
			for b.Loop() {
				began := time.Now()
				trader := NewStrategy("bench", p).Trader(backtest.NewIndicatorCache(bars), backtest.Config{Calendar: backtest.CalendarContinuous})
				trader.Prepare(backtest.Params{10, 30, 2})
				trader.Simulate(backtest.Window{From: 0, To: bars.Len()}, &m)
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(best.Nanoseconds())/float64(bars.Len()), "best-ns/bar")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, diags := Compile(residueScript); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// TestWarmTrialsAllocateNothing runs trials whose columns are in the cache.
func TestWarmTrialsAllocateNothing(t *testing.T) {
	for class, source := range map[string]string{"S": crossScript, "B": bracketScript, "P": residueScript} {
		bars := walkBars(3, 3000)
		trader := NewStrategy("warm", mustCompile(t, source)).Trader(backtest.NewIndicatorCache(bars), backtest.Config{Calendar: backtest.CalendarContinuous})
		params, w := backtest.Params{0, 0, 2}, backtest.Window{From: 100, To: bars.Len()}
		var m backtest.Metrics
		sweep := func() {
			for i := range 9 {
				params[0], params[1] = float64(5+i%3), float64(20+i/3)
				trader.Prepare(params)
				trader.Simulate(w, &m)
				if trader.Err() != nil || m.Trades == 0 {
					t.Fatalf("%d trades, error %v", m.Trades, trader.Err())
				}
			}
		}
		sweep()
		if n := testing.AllocsPerRun(3, sweep); n != 0 {
			t.Errorf("class %s: 9 warm trials make %v allocations", class, n)
		}
	}
}
