package tradelist

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"millrace/jobs/backtest"
)

// Comparison says how two lists of trades compare.
type Comparison struct {
	Theirs, Mine, Alike int         // trades that were compared, and that are alike
	Shift               string      // by how much the times of their list are ahead of the bars'; "" for none
	Notes               []string    // what was left out or not compared
	First               *Difference // nil when the lists are alike
	Reason              string      // the likely one of the first difference
}

// Difference is the first trade on which two lists part. One of the two is nil when only the other has it.
type Difference struct {
	Theirs, Mine *Trade
	What         string // entry, exit, price, quantity, profit, missing, extra
}

// String is the difference on two lines.
func (d *Difference) String() string {
	line := func(t *Trade) string {
		if t == nil {
			return "no such trade"
		}
		return t.String()
	}
	return "theirs: " + line(d.Theirs) + "\nours:   " + line(d.Mine)
}

// String is a trade on one line.
func (t *Trade) String() string {
	side := "short"
	if t.Long {
		side = "long"
	}
	text := fmt.Sprintf("trade %d, %s %s: %s at %s to %s at %s", t.Number, side, exact(t.Size), stamp(t.EntryTime), exact(t.EntryPrice), stamp(t.ExitTime), exact(t.ExitPrice))
	if !math.IsNaN(t.Profit) {
		text += ", profit " + amount(t.Profit)
	}
	return text
}

// Market is what a comparison may know of the instrument.
type Market struct {
	Bars *backtest.Bars // nil: not known
	Tick float64        // 0: not known
}

// FromRun are the closed trades of a run, as Compare takes them.
func FromRun(trades []backtest.Trade) []Trade {
	mine := make([]Trade, len(trades))
	for i := range trades {
		t := &trades[i]
		mine[i] = Trade{
			Number: i + 1, Long: t.Side == backtest.SideLong, Size: t.Size, EntryTime: t.EntryTime, ExitTime: t.ExitTime,
			EntryPrice: t.EntryPrice, ExitPrice: t.ExitPrice, Profit: t.PnL, EntrySignal: t.EntrySignal, ExitSignal: t.ExitSignal,
		}
	}
	order(mine)
	return mine
}

// Compare compares a list with ours.
func Compare(theirs, mine []Trade, m Market) Comparison {
	theirs, mine = append([]Trade{}, theirs...), append([]Trade{}, mine...)
	c := &comparing{market: m, theirs: theirs, mine: mine}
	c.Shift = c.shift()
	c.leaveOut()
	c.pairUp()
	c.drift()
	c.Theirs, c.Mine = len(c.theirs), len(c.mine)
	c.first()
	if c.First != nil {
		c.Reason = c.reason()
	}
	return c.Comparison
}

// comparing is a comparison on its way.
type comparing struct {
	Comparison
	market       Market
	theirs, mine []Trade
	drifts       bool  // profits differ by a currency's rate, and are not compared
	partner      []int // of each of theirs, ours with the same side and times; -1: none
	taken        []bool
}

// shift finds by how much their times are ahead of ours, and takes it away.
func (c *comparing) shift() string {
	type key struct {
		long bool
		at   int64
	}
	entries := map[key]bool{}
	for i := range c.mine {
		entries[key{c.mine[i].Long, c.mine[i].EntryTime}] = true
	}
	meets := func(back func(int64) int64) int {
		n := 0
		for i := range c.theirs {
			if entries[key{c.theirs[i].Long, back(c.theirs[i].EntryTime)}] {
				n++
			}
		}
		return n
	}
	type zone struct {
		name string
		back func(int64) int64
	}
	same := func(t int64) int64 { return t }
	best, most := zone{"", same}, meets(same)
	var zones []zone
	for quarter := 1; quarter <= 14*4; quarter++ {
		for _, sign := range []int64{1, -1} {
			by := sign * int64(quarter) * 15 * 60e6
			zones = append(zones, zone{
				strings.TrimSuffix((time.Duration(by) * time.Microsecond).String(), "0s"), func(t int64) int64 { return t - by },
			})
		}
	}
	// Zones with summer time, of the exchanges that charts show most.
	for _, name := range []string{"America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London", "Europe/Berlin", "Australia/Sydney"} {
		if place, err := time.LoadLocation(name); err == nil {
			zones = append(zones, zone{name, func(t int64) int64 {
				w := time.UnixMicro(t).UTC()
				return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, place).UnixMicro()
			}})
		}
	}
	for _, z := range zones {
		// A shift by chance meets a few: it must meet clearly more than none does.
		if n := meets(z.back); n > most && 2*n > len(c.theirs) {
			best, most = z, n
		}
	}
	for i := range c.theirs {
		c.theirs[i].EntryTime, c.theirs[i].ExitTime = best.back(c.theirs[i].EntryTime), best.back(c.theirs[i].ExitTime)
	}
	order(c.theirs)
	return best.name
}

// leaveOut drops what only one side can have: trades of theirs before the first bar or after the last,
// and of ours after their list ends.
func (c *comparing) leaveOut() {
	drop := func(list []Trade, gone func(*Trade) bool, text string) []Trade {
		var kept []Trade
		for i := range list {
			if !gone(&list[i]) {
				kept = append(kept, list[i])
			}
		}
		if n := len(list) - len(kept); n > 0 {
			c.Notes = append(c.Notes, fmt.Sprintf(text, n))
		}
		return kept
	}
	if b := c.market.Bars; b != nil && b.Len() > 0 {
		first, last := b.Time[0], b.Time[b.Len()-1]
		c.theirs = drop(c.theirs, func(t *Trade) bool { return t.EntryTime < first }, "%d trades of the list are before the first bar: the chart begins earlier than the bars")
		c.theirs = drop(c.theirs, func(t *Trade) bool { return t.ExitTime > last }, "%d trades of the list are after the last bar")
	}
	if len(c.theirs) == 0 {
		return
	}
	last := int64(math.MinInt64)
	for i := range c.theirs {
		last = max(last, c.theirs[i].ExitTime)
	}
	c.mine = drop(c.mine, func(t *Trade) bool { return t.ExitTime > last }, "%d trades of ours end after the list does")
}

// pairUp finds each trade's partner, of the same side and times, the nearest in price and quantity.
func (c *comparing) pairUp() {
	type key struct {
		long        bool
		entry, exit int64
	}
	pool := map[key][]int{}
	for i := range c.mine {
		k := key{c.mine[i].Long, c.mine[i].EntryTime, c.mine[i].ExitTime}
		pool[k] = append(pool[k], i)
	}
	c.partner, c.taken = make([]int, len(c.theirs)), make([]bool, len(c.mine))
	for i := range c.theirs {
		t := &c.theirs[i]
		k := key{t.Long, t.EntryTime, t.ExitTime}
		best, least := -1, math.Inf(1)
		for at, j := range pool[k] {
			m := &c.mine[j]
			if d := math.Abs(m.EntryPrice-t.EntryPrice) + math.Abs(m.ExitPrice-t.ExitPrice) + math.Abs(m.Size-t.Size)/max(t.Size, 1e-12); d < least {
				best, least = at, d
			}
		}
		c.partner[i] = -1
		if best >= 0 {
			list := pool[k]
			c.partner[i], c.taken[list[best]] = list[best], true
			pool[k] = append(list[:best:best], list[best+1:]...)
		}
	}
}

// first finds the first difference and counts what is alike.
func (c *comparing) first() {
	at := int64(math.MaxInt64)
	found := func(when int64, d Difference) {
		if when < at {
			at, c.First = when, &d
		}
	}
	for i := range c.theirs {
		t := &c.theirs[i]
		if c.partner[i] < 0 {
			found(t.EntryTime, Difference{Theirs: t, What: "missing"})
			continue
		}
		m := &c.mine[c.partner[i]]
		if what := c.differs(t, m); what != "" {
			found(t.EntryTime, Difference{Theirs: t, Mine: m, What: what})
			continue
		}
		c.Alike++
	}
	for j := range c.mine {
		if !c.taken[j] {
			found(c.mine[j].EntryTime, Difference{Mine: &c.mine[j], What: "extra"})
		}
	}
	c.sharpen()
}

// sharpen makes of a trade that one side lacks one that both have and that differs in one thing, where
// there is such a trade.
func (c *comparing) sharpen() {
	d := c.First
	if d == nil || d.Theirs != nil && d.Mine != nil {
		return
	}
	lone, others, taken := d.Theirs, c.mine, c.taken
	if lone == nil {
		lone, others, taken = d.Mine, c.theirs, nil
	}
	for i := range others {
		o := &others[i]
		if o.EntryTime != lone.EntryTime || o.Long != lone.Long || taken != nil && taken[i] || taken == nil && c.partner[i] >= 0 {
			continue
		}
		d.What = "exit"
		if d.Theirs == nil {
			d.Theirs = o
		} else {
			d.Mine = o
		}
		return
	}
}

// differs says in what two trades of the same times differ; "" when they are alike.
func (c *comparing) differs(t, m *Trade) string {
	switch near := c.nearPrice(); {
	case !near(t.EntryPrice, m.EntryPrice):
		return "entry price"
	case !near(t.ExitPrice, m.ExitPrice):
		return "exit price"
	case math.Abs(t.Size-m.Size) > float64(1e-6*max(t.Size, m.Size))+1e-9:
		return "quantity"
	case !c.drifts && !math.IsNaN(t.Profit) && math.Abs(t.Profit-m.Profit) > t.rounding+float64(1e-9*math.Abs(m.Profit)):
		return "profit"
	}
	return ""
}

// nearPrice says whether two prices are the same: within half a tick, or a millionth where the tick is not known.
func (c *comparing) nearPrice() func(a, b float64) bool {
	half := c.market.Tick / 2
	return func(a, b float64) bool { return math.Abs(a-b) <= max(half, 1e-6*math.Abs(a)*b2f(half == 0))+1e-9 }
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// barAt is the index of the bar of that time, or -1.
func barAt(b *backtest.Bars, at int64) int {
	i := sort.Search(b.Len(), func(i int) bool { return b.Time[i] >= at })
	if i < b.Len() && b.Time[i] == at {
		return i
	}
	return -1
}
