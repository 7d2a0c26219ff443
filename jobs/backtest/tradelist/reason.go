package tradelist

import (
	"fmt"
	"math"
	"time"
)

// mostOf is the share of all trades that a reason must explain to be given.
const mostOf = 0.9

// reason is the likely reason of the first difference.
func (c *comparing) reason() string {
	if text := c.missingBars(); text != "" {
		return text
	}
	switch c.First.What {
	case "missing", "extra":
		if text := c.start(); text != "" {
			return text
		}
	case "exit":
		if text := c.start(); text != "" {
			return text
		}
		return c.exits()
	case "entry price", "exit price":
		return c.prices()
	case "quantity":
		return c.quantities()
	case "profit":
		return c.profits()
	}
	share := float64(c.Alike) / float64(max(len(c.theirs), 1))
	if share >= mostOf {
		return fmt.Sprintf("few trades differ (%.1f %% are alike): a bar of another price near this trade, a quantity that a margin call or a rounding changed, or a price inside a bar that the chart knows better (bar magnifier)", 100*share)
	}
	return "other inputs or settings: compare the chart's Inputs and Properties with the defaults of the script, and name those that differ by --input; or bars of another source, session or adjustment"
}

// missingBars holds when their trades fill at times that are not bars of ours.
func (c *comparing) missingBars() string {
	b := c.market.Bars
	if b == nil || b.Len() < 2 || len(c.theirs) == 0 {
		return ""
	}
	absent, first := 0, int64(0)
	for i := range c.theirs {
		for _, at := range []int64{c.theirs[i].EntryTime, c.theirs[i].ExitTime} {
			if barAt(b, at) < 0 {
				if absent == 0 || at < first {
					first = at
				}
				absent++
			}
		}
	}
	switch {
	case absent == 0:
		return ""
	case absent > len(c.theirs)/2:
		return "other bars: most trades of the list are at times at which there is no bar: another timeframe, session, or time zone (--zone)"
	case c.First.Theirs != nil && first <= max(c.First.Theirs.EntryTime, c.First.Theirs.ExitTime):
		return fmt.Sprintf("missing bars: the list has fills at %d times at which there is no bar, the first at %s", absent, stamp(first))
	}
	return ""
}

// start holds when the differences end after some time: the chart began on another bar.
func (c *comparing) start() string {
	if len(c.theirs) < 4 {
		return ""
	}
	lastDiffers := int64(math.MinInt64)
	for i := range c.theirs {
		if c.partner[i] < 0 {
			lastDiffers = max(lastDiffers, c.theirs[i].EntryTime)
		}
	}
	for j := range c.mine {
		if !c.taken[j] {
			lastDiffers = max(lastDiffers, c.mine[j].EntryTime)
		}
	}
	after := 0
	for i := range c.theirs {
		if c.theirs[i].EntryTime > lastDiffers {
			after++
		}
	}
	if after < len(c.theirs)/2 {
		return ""
	}
	if first := c.theirs[0].EntryTime; lastDiffers < first {
		return fmt.Sprintf("the chart begins later than the bars: its first trade is at %s, and from there on all trades have the same times; cut the bars with --from", stamp(first))
	}
	return fmt.Sprintf("warm-up: after %s all trades have the same times; the chart began on another bar than the bars do, which averages remember for a while; cut the bars with --from", stamp(lastDiffers))
}

// exits explains an exit on another bar.
func (c *comparing) exits() string {
	d := c.First
	b := c.market.Bars
	if d.Theirs.ExitTime == d.Theirs.EntryTime || d.Mine.ExitTime == d.Mine.EntryTime {
		return "an exit inside the bar of the entry: the order of prices inside a bar is assumed, and the chart knows more (bar magnifier), or trades at other ticks"
	}
	if b != nil {
		if i := barAt(b, d.Theirs.ExitTime); i >= 0 && (d.Theirs.ExitPrice > b.High[i]+c.market.Tick || d.Theirs.ExitPrice < b.Low[i]-c.market.Tick) {
			return c.otherBars(d.Theirs.ExitPrice, i)
		}
	}
	return "another exit: an input of the exit (stop, target, length) differs from the chart's, or a level that is met by a tick; compare the chart's Inputs and name those that differ by --input"
}

func (c *comparing) otherBars(price float64, bar int) string {
	b := c.market.Bars
	return fmt.Sprintf("other bars: they fill at %s, and our bar of %s goes from %s to %s; the prices are of another source or adjusted otherwise",
		exact(price), time.UnixMicro(b.Time[bar]).UTC().Format("2006-01-02 15:04"), exact(b.Low[bar]), exact(b.High[bar]))
}

// pairs calls f with all trades that have the same times on both sides.
func (c *comparing) pairs(f func(t, m *Trade)) {
	for i := range c.theirs {
		if j := c.partner[i]; j >= 0 {
			f(&c.theirs[i], &c.mine[j])
		}
	}
}

// share of the pairs that a test explains.
func (c *comparing) share(explains func(t, m *Trade) bool) float64 {
	n, ok := 0, 0
	c.pairs(func(t, m *Trade) {
		n++
		if explains(t, m) {
			ok++
		}
	})
	return float64(ok) / float64(max(n, 1))
}

// prices explains other prices on the same bars.
func (c *comparing) prices() string {
	d, tick := c.First, c.market.Tick
	if b := c.market.Bars; b != nil {
		for _, end := range []struct {
			at    int64
			price float64
		}{{d.Theirs.EntryTime, d.Theirs.EntryPrice}, {d.Theirs.ExitTime, d.Theirs.ExitPrice}} {
			// Slippage may leave the bar by some ticks, so that alone says nothing of it.
			if i := barAt(b, end.at); i >= 0 && (end.price > b.High[i]+float64(100*tick) || end.price < b.Low[i]-float64(100*tick)) {
				return c.otherBars(end.price, i)
			}
		}
	}
	if coarse := c.coarserTick(); coarse > 0 {
		return fmt.Sprintf("tick size: their prices are multiples of %s, ours of %s; name it with --tick %s", exact(coarse), exact(tick), exact(coarse))
	}
	worse := against(d.Theirs, d.Mine, d.What)
	if d.What == "entry price" && math.Abs(worse) > 1e-9 {
		even := c.share(func(t, m *Trade) bool {
			return math.Abs(against(t, m, "entry price")-worse) <= max(tick/2, 1e-9*m.EntryPrice)
		})
		if even >= mostOf {
			return fmt.Sprintf("slippage: their entries are %s worse than ours on nearly every trade%s; set slippage in the script's strategy() call as the chart's Properties have it", exact(round9(worse)), ticksText(worse, tick))
		}
	}
	if d.What == "exit price" {
		return "a price inside a bar: the order of prices inside a bar is assumed, and the chart knows more (bar magnifier), or an input of the exit differs"
	}
	return "other prices on the same bars: an input of the price differs, or the prices of the bars do"
}

// against is by how much their price is worse for the trader than ours.
func against(t, m *Trade, what string) float64 {
	d := t.EntryPrice - m.EntryPrice
	if what == "exit price" {
		d = m.ExitPrice - t.ExitPrice
	}
	if !t.Long {
		d = -d
	}
	return d
}

func ticksText(worse, tick float64) string {
	if tick <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f ticks)", worse/tick)
}

// coarserTick is the step of their prices when it is coarser than ours; 0 when it is not.
func (c *comparing) coarserTick() float64 {
	if c.market.Tick <= 0 {
		return 0
	}
	on := func(price, step float64) bool { return math.Abs(price/step-math.Round(price/step)) < 1e-6 }
	for _, times := range []float64{100, 50, 25, 20, 10, 5, 2.5, 2} {
		step := c.market.Tick * times
		theirs, mine, n := true, true, 0
		c.pairs(func(t, m *Trade) {
			n += 2
			theirs = theirs && on(t.EntryPrice, step) && on(t.ExitPrice, step)
			mine = mine && on(m.EntryPrice, step) && on(m.ExitPrice, step)
		})
		if n >= 10 && theirs && !mine {
			return round9(step)
		}
	}
	return 0
}

// quantities explains other sizes of trades that are alike in all else.
func (c *comparing) quantities() string {
	d := c.First
	ratio := d.Theirs.Size / d.Mine.Size
	constant := c.share(func(t, m *Trade) bool { return math.Abs(t.Size/m.Size/ratio-1) < 1e-3 })
	near := c.share(func(t, m *Trade) bool { return math.Abs(t.Size/m.Size-1) < 0.02 })
	whole := c.share(func(t, _ *Trade) bool { return t.Size == math.Trunc(t.Size) })
	mine := c.share(func(_, m *Trade) bool { return m.Size == math.Trunc(m.Size) })
	down := c.share(func(t, m *Trade) bool { return t.Size <= m.Size+1e-9 && m.Size-t.Size < 1 })
	switch {
	case whole >= 0.999 && mine < 0.999 && down >= mostOf:
		return "quantity step: their quantities are whole units, ours are not; give account.whole_units, or --lot 1"
	case near >= mostOf && (constant < mostOf || math.Abs(ratio-1) < 0.005):
		return "the account's currency: their quantities are within 2 % of ours and drift; sizes in percent of equity are converted at a daily rate that is not in the data (or the fee that a size must leave room for differs)"
	case constant >= mostOf:
		return fmt.Sprintf("quantity: theirs is %.6g times ours on nearly every trade: another order size or initial capital in the chart's Properties", ratio)
	}
	return "quantity: sizes that depend on equity part when capital, commission or order size differ; compare the chart's Properties with the script's strategy() call"
}

// cost is what each trade of theirs lacks of profit, as far as it is the same for all.
type cost struct{ each, ofValue, perUnit float64 }

// cost finds the commission that only one side pays. ok is false when none explains the profits.
func (c *comparing) cost(t, m *Trade) (found cost, ok bool) {
	lack := func(t, m *Trade) float64 { return m.Profit - t.Profit }
	value := func(m *Trade) float64 { return m.Size * (m.EntryPrice + m.ExitPrice) }
	slack := func(t *Trade) float64 { return 2*t.rounding + 1e-9 }
	first := lack(t, m)
	if math.IsNaN(first) || math.Abs(first) < 4*t.rounding {
		return found, false
	}
	rate, unit := first/value(m), first/m.Size
	explains := func(of func(m *Trade) float64) bool {
		return c.share(func(t, m *Trade) bool {
			return math.Abs(lack(t, m)-of(m)) <= slack(t)+float64(0.01*math.Abs(of(m)))
		}) >= mostOf
	}
	switch {
	case explains(func(*Trade) float64 { return first }):
		found.each = first
	case explains(func(m *Trade) float64 { return rate * value(m) }):
		found.ofValue = rate
	case explains(func(m *Trade) float64 { return unit * m.Size }):
		found.perUnit = unit
	default:
		return found, false
	}
	return found, true
}

// drift finds profits that are near ours everywhere and the same nowhere for long: those of an account in another
// currency. They are not compared.
func (c *comparing) drift() {
	near := c.share(func(t, m *Trade) bool {
		return math.Abs(t.Profit-m.Profit) <= float64(0.02*math.Abs(m.Profit))+float64(2*t.rounding)
	})
	same := c.share(func(t, m *Trade) bool {
		return math.Abs(t.Profit-m.Profit) <= t.rounding+float64(1e-9*math.Abs(m.Profit))
	})
	if near < mostOf || same > 0.999 {
		return
	}
	explained := false
	tried := 0
	c.pairs(func(t, m *Trade) {
		if !explained && tried < 20 && math.Abs(t.Profit-m.Profit) > 4*t.rounding {
			tried++
			_, explained = c.cost(t, m)
		}
	})
	if explained {
		return
	}
	c.drifts = true
	c.Notes = append(c.Notes, "profits are near ours and drift: the account is in another currency, whose daily rate is not in the bars; they are not compared")
}

// profits explains other profits of trades that are alike in all else.
func (c *comparing) profits() string {
	d := c.First
	if cost, ok := c.cost(d.Theirs, d.Mine); ok {
		switch {
		case cost.each != 0:
			return fmt.Sprintf("commission: they pay %s more on nearly every trade, %s an order; set commission_value with commission_type=strategy.commission.cash_per_order as the chart's Properties have it", amount(cost.each), amount(cost.each/2))
		case cost.ofValue != 0:
			return fmt.Sprintf("commission: they pay %.4g %% more of the value of each side; set commission_value as the chart's Properties have it, or account.commission", 100*cost.ofValue)
		}
		return fmt.Sprintf("commission: they pay %s more a unit, %s a side; set commission_value with commission_type=strategy.commission.cash_per_contract", amount(cost.perUnit), amount(cost.perUnit/2))
	}
	ratio := d.Theirs.Profit / d.Mine.Profit
	even := c.share(func(t, m *Trade) bool {
		return math.Abs(t.Profit-float64(ratio*m.Profit)) <= float64(2*t.rounding*max(1, math.Abs(ratio)))+float64(0.002*math.Abs(t.Profit))
	})
	if even >= mostOf && math.Abs(ratio-1) > 0.02 {
		return fmt.Sprintf("point value: their profits are %.6g times ours; the instrument's point value (--point-value), or the rate of the account's currency, is not in the bars", ratio)
	}
	return "profit: commission, point value or the rate of the account's currency differs; compare the chart's Properties with the script's strategy() call"
}

func round9(v float64) float64 { return math.Round(v*1e9) / 1e9 }
