package backtest_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// plainEngine is the package comment's fill rules written out bar by bar, without regard for speed.
type plainEngine struct {
	bars    *backtest.Bars
	cfg     backtest.Config
	signals []int
	atr     []float64

	cash, units, entry, cost float64
	stop, target, best       float64
	atrAtEntry               float64
	entryBar                 int
	ruined                   bool
	trades                   []backtest.Trade
}

func (e *plainEngine) run(w backtest.Window) []float64 {
	e.cash = e.cfg.Account.Cash
	var equity []float64
	for i := w.From; i < w.To; i++ {
		if i > w.From && e.signals[i-1] != 0 {
			e.act(i, float64(e.signals[i-1]))
		}
		if e.units != 0 && e.cfg.Stops != nil {
			e.protect(i)
		}
		if e.units != 0 && e.value(i) <= 0 {
			e.leave(i, e.slip(e.bars.Close[i], -e.units), "ruin")
			e.ruined = true
		}
		if e.units > 0 {
			e.best = max(e.best, e.bars.High[i])
		} else if e.units < 0 {
			e.best = min(e.best, e.bars.Low[i])
		}
		equity = append(equity, e.value(i))
	}
	if e.units != 0 {
		e.leave(w.To-1, e.slip(e.bars.Close[w.To-1], -e.units), "end")
		equity[len(equity)-1] = e.cash
	}
	return equity
}

func (e *plainEngine) value(i int) float64 { return e.cash + e.units*(e.bars.Close[i]-e.entry) }

// slip moves the price of a market order of the given sign against the trader.
func (e *plainEngine) slip(price, sign float64) float64 {
	if sign > 0 {
		return price * (1 + e.cfg.Account.Slippage)
	}
	return price * (1 - e.cfg.Account.Slippage)
}

func (e *plainEngine) act(i int, signal float64) {
	open := e.bars.Open[i]
	if e.units*signal > 0 {
		return
	}
	if e.units != 0 {
		e.leave(i, e.slip(open, signal), "signal")
		if !e.cfg.Account.Exclusive {
			return
		}
	}
	if e.ruined || signal > 0 && e.cfg.Side == backtest.SideShort || signal < 0 && e.cfg.Side == backtest.SideLong {
		return
	}
	a, price := e.cfg.Account, e.slip(open, signal)
	units := a.Size
	if a.Size <= 1 {
		units = e.cash * a.Size / (price * (1 + float64(a.Commission)))
		if a.WholeUnits {
			units = math.Floor(units)
		}
	} else if units*(price*(1+float64(a.Commission))) > e.cash {
		return
	}
	if units <= 0 {
		return
	}
	e.cost = units * price * float64(a.Commission)
	e.cash -= e.cost
	e.units, e.entry, e.entryBar, e.best = signal*units, price, i, price
	s := e.cfg.Stops
	if s == nil {
		return
	}
	e.atrAtEntry = 0
	if e.atr != nil && !math.IsNaN(e.atr[i-1]) {
		e.atrAtEntry = e.atr[i-1]
	}
	e.stop = e.tighter(signal, price*(1-signal*s.StopPct/100), s.StopPct, price-signal*s.StopATR*e.atrAtEntry, s.StopATR*e.atrAtEntry)
	e.target = e.tighter(-signal, price*(1+signal*s.TargetPct/100), s.TargetPct, price+signal*s.TargetATR*e.atrAtEntry, s.TargetATR*e.atrAtEntry)
}

// tighter is the one of two exits that a price moving against sign meets first; 0 without any.
func (e *plainEngine) tighter(sign, a, hasA, b, hasB float64) float64 {
	found := math.Inf(-1)
	if hasA > 0 && a > 0 {
		found = sign * a
	}
	if hasB > 0 && b > 0 {
		found = max(found, sign*b)
	}
	if math.IsInf(found, -1) {
		return 0
	}
	return sign * found
}

func (e *plainEngine) protect(i int) {
	s, sign := e.cfg.Stops, math.Copysign(1, e.units)
	stop := e.stop
	if s.TrailPct > 0 {
		stop = e.tighter(sign, stop, stop, e.best*(1-sign*(s.TrailPct/100)), 1)
	}
	if s.TrailATR*e.atrAtEntry > 0 {
		stop = e.tighter(sign, stop, stop, e.best-sign*(s.TrailATR*e.atrAtEntry), 1)
	}
	open, low, high := e.bars.Open[i], e.bars.Low[i], e.bars.High[i]
	adverse, favourable := low, high
	if sign < 0 {
		adverse, favourable = high, low
	}
	stopped := stop > 0 && sign*adverse <= sign*stop
	reached := e.target > 0 && sign*favourable >= sign*e.target
	if stopped && reached {
		switch {
		case sign*open <= sign*stop:
			reached = false
		case sign*open >= sign*e.target:
			stopped = false
		case e.cfg.Policy == backtest.PolicyBest:
			stopped = false
		case e.cfg.Policy == backtest.PolicyOHLCPath:
			stopped = sign*(open-adverse) <= sign*(favourable-open)
		}
	}
	switch {
	case stopped:
		fill := stop
		if sign*open < sign*stop {
			fill = open
		}
		e.leave(i, e.slip(fill, -sign), "stop")
	case reached:
		e.leave(i, e.target, "target")
	}
}

func (e *plainEngine) leave(i int, price float64, reason string) {
	a := e.cfg.Account
	gross, fee := e.units*(price-e.entry), math.Abs(e.units)*price*float64(a.Commission)
	e.cash += gross - fee
	trade := backtest.Trade{
		Side: backtest.SideLong, Size: math.Abs(e.units), EntryBar: e.entryBar, EntryTime: e.bars.Time[e.entryBar], EntryPrice: e.entry,
		ExitBar: i, ExitTime: e.bars.Time[i], ExitPrice: price, PnL: gross - fee - e.cost, ExitReason: reason,
	}
	trade.ReturnPct = 100 * trade.PnL / (trade.Size * e.entry)
	if e.units < 0 {
		trade.Side = backtest.SideShort
	}
	e.trades = append(e.trades, trade)
	e.units, e.stop, e.target = 0, 0, 0
}

// drawnBars are bars of the shapes that trip engines: gaps, spells without a move, prices on ticks.
func drawnBars(t *rapid.T, n int) *backtest.Bars {
	seed := rapid.Uint64().Draw(t, "seed")
	step := rapid.SampledFrom([]int64{3_600_000_000, 86_400_000_000, 7 * 86_400_000_000}).Draw(t, "step")
	tick := rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "tick")
	vol := rapid.SampledFrom([]float64{0.003, 0.02, 0.15, 0.6}).Draw(t, "vol")
	return walk(t, n, walkShape{seed: seed, step: step, tick: tick, vol: vol})
}

func TestEngineEqualsBarByBarReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bars := drawnBars(t, rapid.IntRange(1, 260).Draw(t, "bars"))
		strategy := rapid.SampledFrom(backtest.Strategies()).Draw(t, "strategy")
		params, cfg := drawnParams(t, strategy), drawnConfig(t)
		from := rapid.IntRange(0, bars.Len()-1).Draw(t, "from")
		w := backtest.Window{From: from, To: rapid.IntRange(from+1, bars.Len()).Draw(t, "to")}

		plain := &plainEngine{bars: bars, cfg: cfg}
		for i := range bars.Len() {
			plain.signals = append(plain.signals, plainSignals[strategy.Name()](bars, params, i))
			if cfg.Stops != nil {
				plain.atr = append(plain.atr, plainATR(bars, 14, i))
			}
		}
		equity := plain.run(w)

		r := backtest.NewTrader(bars, strategy, cfg)
		r.Prepare(params)
		trades, got := r.Trace(w)
		requireTrades(t, plain.trades, trades)
		requireClose(t, equity, got, cfg.Account.Cash, "equity")
		var m backtest.Metrics
		r.Simulate(w, &m)
		requireMetrics(t, plainMetrics(bars, cfg, w, equity, plain.trades), m, cfg)
	})
}

func requireTrades(t require.TestingT, want, got []backtest.Trade) {
	require.Len(t, got, len(want))
	for i := range want {
		w, g := want[i], got[i]
		for _, pair := range []struct{ want, got *float64 }{
			{&w.Size, &g.Size}, {&w.EntryPrice, &g.EntryPrice}, {&w.ExitPrice, &g.ExitPrice}, {&w.PnL, &g.PnL}, {&w.ReturnPct, &g.ReturnPct},
		} {
			if near(*pair.want, *pair.got, 1e-9*max(1, w.Size*w.EntryPrice)) {
				*pair.got = *pair.want
			}
		}
		require.Equal(t, w, g, "trade %d", i)
	}
}

func requireClose(t require.TestingT, want, got []float64, scale float64, what string) {
	require.Len(t, got, len(want), what)
	for i := range want {
		require.True(t, near(want[i], got[i], 1e-10*scale), "%s %d: want %v, got %v", what, i, want[i], got[i])
	}
}

// near is equality to nine digits, or to within the slack that rounding leaves around zero.
func near(want, got, slack float64) bool {
	if math.IsNaN(want) || math.IsNaN(got) || math.IsInf(want, 0) || math.IsInf(got, 0) {
		return math.IsNaN(want) && math.IsNaN(got) || want == got
	}
	return math.Abs(want-got) <= max(slack, 1e-9*math.Abs(want))
}

func drawnParams(t *rapid.T, s backtest.Strategy) backtest.Params {
	var p backtest.Params
	for _, spec := range s.Params() {
		if spec.Kind == backtest.KindInt {
			p = append(p, float64(rapid.IntRange(int(spec.Min), min(int(spec.Max), 40)).Draw(t, spec.Name)))
		} else {
			p = append(p, rapid.Float64Range(spec.Min, min(spec.Max, 70)).Draw(t, spec.Name))
		}
	}
	return p
}

func drawnConfig(t *rapid.T) backtest.Config {
	cfg := backtest.Config{
		Side: rapid.SampledFrom([]backtest.Side{backtest.SideLong, backtest.SideShort, backtest.SideBoth}).Draw(t, "side"),
		Account: backtest.Account{
			Cash:       rapid.SampledFrom([]float64{150, 10_000, 1e6}).Draw(t, "cash"),
			Commission: rapid.SampledFrom([]backtest.Commission{0, 0.002, 0.05}).Draw(t, "commission"),
			Slippage:   rapid.SampledFrom([]float64{0, 0.001, 0.03}).Draw(t, "slippage"),
			Size:       rapid.SampledFrom([]float64{0.3, 0.9999, 1, 2, 60}).Draw(t, "size"),
			WholeUnits: rapid.Bool().Draw(t, "whole"),
			Exclusive:  rapid.Bool().Draw(t, "exclusive"),
		},
		// PolicyRandom has a test of its own: the reference has no random policy.
		Policy:   rapid.SampledFrom([]backtest.IntrabarPolicy{backtest.PolicyWorst, backtest.PolicyBest, backtest.PolicyOHLCPath}).Draw(t, "policy"),
		Calendar: rapid.SampledFrom([]backtest.Calendar{backtest.CalendarExchange, backtest.CalendarContinuous}).Draw(t, "calendar"),
	}
	if rapid.Bool().Draw(t, "protected") {
		distance := func(name string, sizes ...float64) float64 { return rapid.SampledFrom(append(sizes, 0)).Draw(t, name) }
		cfg.Stops = &backtest.Stops{
			StopPct: distance("stop_pct", 0.5, 4), TargetPct: distance("target_pct", 0.5, 4), TrailPct: distance("trail_pct", 1, 5),
			StopATR: distance("stop_atr", 0.5, 3), TargetATR: distance("target_atr", 0.5, 3), TrailATR: distance("trail_atr", 1, 4),
		}
		if *cfg.Stops == (backtest.Stops{}) {
			cfg.Stops = nil
		}
	}
	if errs := cfg.Validate(); len(errs) > 0 {
		panic(fmt.Sprint(errs))
	}
	return cfg
}
