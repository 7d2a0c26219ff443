package pricefile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"millrace/jobs/backtest"
)

// resolve makes bars of a table: what the whole file says about its times, their zone and order, and the
// scale of prices.
func (t *table) resolve(opts Options, reading *Reading) (*backtest.Bars, error) {
	if len(t.tickers) > 1 || opts.Ticker != "" && len(t.tickers) > 0 {
		reading.Tickers = t.tickers[:min(len(t.tickers), 20)]
		if opts.Ticker == "" || t.len() == 0 {
			return nil, askTicker(t.tickers)
		}
		reading.Ticker = opts.Ticker
	} else if len(t.tickers) == 1 {
		reading.Ticker = t.tickers[0]
	}
	if t.len() == 0 {
		return nil, fileError("the file has no rows of data")
	}
	if t.columns[slotVolume] == nil {
		t.columns[slotVolume] = make([]float64, t.len())
		reading.note("the file has no volume: it is zero")
	}
	for _, step := range []func(Options, *Reading) error{t.times, t.zones, t.sorted, t.scale, t.adjust, t.ranged, t.jumps} {
		if err := step(opts, reading); err != nil {
			return nil, err
		}
	}
	bars, err := backtest.NewBars(slices.Clip(t.time), clipped(t.columns[slotOpen]), clipped(t.columns[slotHigh]),
		clipped(t.columns[slotLow]), clipped(t.columns[slotClose]), clipped(t.columns[slotVolume]))
	var bad *backtest.BarError
	if errors.As(err, &bad) && bad.Row > 0 {
		wrong := &RowError{Row: t.rows.row(bad.Row - 1), Column: bad.Field, Reason: bad.Reason}
		if slot := slotOf(bad.Field); slot >= 0 {
			wrong.Column = t.spelt[slot]
			if slot != slotTime {
				wrong.Value = fmt.Sprint(t.columns[slot][bad.Row-1])
			}
		}
		return nil, wrong
	}
	if err != nil {
		return nil, fileError("%v", err)
	}
	reading.Bars = bars.Len()
	return bars, t.label(opts, reading, bars)
}

func clipped(values []float64) []float64 {
	if cap(values) > len(values)+len(values)/8 {
		return slices.Clone(values)
	}
	return values[:len(values):len(values)]
}

// times makes wall clocks or UTC of what the file's form needs the whole file for.
func (t *table) times(opts Options, reading *Reading) error {
	switch {
	case t.form == formNumber:
		return t.numberTimes(opts, reading)
	case t.form == formDay && t.order == "":
		return t.dateOrder(opts, reading)
	case t.form == formDay:
		reading.DateOrder = t.order
	}
	return nil
}

// dateOrder finds whether the day or the month comes first: the order in which all dates are valid, rise
// or fall, and fit the timeframe.
func (t *table) dateOrder(opts Options, reading *Reading) error {
	var fit [2][]int64
	var bad [2]int
	for k, order := range []string{OrderDMY, OrderMDY} {
		fit[k], bad[k] = t.inOrder(order)
	}
	if fit[0] == nil && fit[1] == nil {
		i := max(bad[0], bad[1])
		return &RowError{Row: t.rows.row(i), Column: t.spelt[slotTime], Reason: "the dates are neither all day first nor all month first: the file mixes both"}
	}
	keep := func(ok func([]int64) bool) {
		if fit[0] != nil && fit[1] != nil {
			first, second := ok(fit[0]), ok(fit[1])
			if first && !second {
				fit[1] = nil
			} else if second && !first {
				fit[0] = nil
			}
		}
	}
	keep(monotonic)
	low, high := timeRange(opts)
	keep(func(at []int64) bool { return slices.Min(at) >= low && slices.Max(at) <= high })
	if opts.Timeframe != "" {
		keep(func(at []int64) bool {
			if at = slices.Clone(at); at[0] > at[len(at)-1] {
				reverse(at)
			}
			return opts.Timeframe.CheckTimeframe(at) == nil
		})
	}
	if fit[0] != nil && fit[1] != nil {
		_, first, second, _ := unpackDay(t.time[0])
		return ask("date_order", t.rows.row(0), choices["date_order"], "the first date may be day %d of month %d or day %d of month %d, and no row decides", first, second, second, first)
	}
	t.order, t.time = OrderDMY, fit[0]
	if fit[0] == nil {
		t.order, t.time = OrderMDY, fit[1]
	}
	reading.DateOrder = t.order
	return nil
}

// inOrder unpacks the dates in one order; nil and the row of the first that is not valid.
func (t *table) inOrder(order string) ([]int64, int) {
	out := make([]int64, t.len(), max(cap(t.time), t.len()))
	for i, packed := range t.time {
		year, day, month, clock := unpackDay(packed)
		if order == OrderMDY {
			day, month = month, day
		}
		at, err := midnight(year, month, day)
		if err != nil {
			return nil, i
		}
		out[i] = at + clock
	}
	return out, -1
}

// monotonic reports whether times rise or fall throughout.
func monotonic(at []int64) bool {
	rising, falling := directions(at)
	return rising == len(at)-1 || falling == len(at)-1
}

func directions(at []int64) (rising, falling int) {
	for i := 1; i < len(at); i++ {
		if at[i] > at[i-1] {
			rising++
		} else if at[i] < at[i-1] {
			falling++
		}
	}
	return rising, falling
}

func reverse[T any](values []T) { slices.Reverse(values) }

// oldestFirst reverses the rows of a file that begins with the newest.
func (t *table) oldestFirst() {
	reverse(t.time)
	for slot := range t.columns {
		reverse(t.columns[slot])
	}
	t.rows.reversed(t.len())
}

// sorted checks that rows rise, or sorts them when that is asked for.
func (t *table) sorted(opts Options, reading *Reading) error {
	for i := 1; i < t.len(); i++ {
		if t.time[i] > t.time[i-1] {
			continue
		}
		back := t.time[i-1] - t.time[i]
		at := time.UnixMicro(t.time[i]).UTC()
		switch {
		case reading.ZoneFrom == zoneAssumed && t.clock && back < 3_600_000_000 && at.Hour() <= 3 && repeatsHour(t.time, i):
			return ask("time_zone", t.rows.row(i), []string{"America/New_York", "Europe/London", "Europe/Berlin"},
				"the times around %s come twice, as where daylight saving ends: say whose clock they are of", at.Format(time.DateTime))
		case opts.Order == OrderSort:
			t.sort()
			reading.Order = "sorted"
			return nil
		case back == 0:
			return &RowError{Row: t.rows.row(i), Column: t.spelt[slotTime], Reason: fmt.Sprintf(
				"is not after the bar before it: %s comes twice, as in a file of two instruments", at.Format(time.RFC3339))}
		}
		return ask("order", t.rows.row(i), choices["order"], "the time runs back from %s to %s: sort sorts the rows, if they are of one instrument",
			time.UnixMicro(t.time[i-1]).UTC().Format(time.RFC3339), at.Format(time.RFC3339))
	}
	return nil
}

// repeatsHour reports whether the times from bar i on repeat those of the hour before it.
func repeatsHour(at []int64, i int) bool {
	for k := i - 1; k >= 0 && at[k] >= at[i]; k-- {
		if at[k] == at[i] {
			return true
		}
	}
	return false
}

// sort brings the rows in the order of their times.
func (t *table) sort() {
	index := make([]int, t.len())
	for i := range index {
		index[i] = i
	}
	sort.SliceStable(index, func(a, b int) bool { return t.time[index[a]] < t.time[index[b]] })
	t.time = permuted(t.time, index)
	for slot, column := range t.columns {
		if column != nil {
			t.columns[slot] = permuted(column, index)
		}
	}
	t.rows.sorted(index)
}

func permuted[T any](values []T, index []int) []T {
	out := make([]T, len(values))
	for i, from := range index {
		out[i] = values[from]
	}
	return out
}

// scale multiplies prices that are written as whole multiples of something.
func (t *table) scale(opts Options, reading *Reading) error {
	low, high, whole := t.wholePrices(opts.PriceScale == 0)
	scale := opts.PriceScale
	switch {
	case scale != 0:
	case whole && t.layout.fixed && high >= 2e7:
		scale = 1e-9
		reading.note("prices are whole multiples of 1e-9, as %s writes them", t.layout.name)
	case whole && t.layout.fixed && high >= 2e5, whole && low >= 1e8 && high < 1e300:
		return ask("price_scale", t.rows.row(0), []string{"1e-9", "1"},
			"prices such as %.0f are whole and very large: they may be multiples of 1e-9", t.columns[slotOpen][0])
	default:
		return nil
	}
	reading.PriceScale = scale
	divisor := math.Round(1 / scale)
	for slot := slotOpen; slot <= slotAdjusted; slot++ {
		if slot == slotVolume {
			continue
		}
		for i, v := range t.columns[slot] {
			if scale < 1 && divisor*scale == 1 { // the quotient is the decimal's own double
				t.columns[slot][i] = v / divisor
			} else {
				t.columns[slot][i] = v * scale
			}
		}
	}
	return nil
}

// wholePrices are the bounds of prices that are whole; whole is false from the first that is not, and when
// nobody asks.
func (t *table) wholePrices(asked bool) (low, high float64, whole bool) {
	low = math.Inf(1)
	for slot := slotOpen; slot <= slotClose && asked; slot++ {
		for _, v := range t.columns[slot] {
			if v != math.Trunc(v) {
				return low, high, false
			}
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high, asked
}

// adjust scales prices for splits and dividends, when that is asked for.
func (t *table) adjust(opts Options, reading *Reading) error {
	adjusted := t.columns[slotAdjusted]
	switch {
	case opts.Adjust == AdjustSplitDividend && adjusted == nil:
		return ask("adjust", 0, []string{AdjustNone}, "the file has no column of adjusted closes")
	case adjusted != nil && opts.Adjust == "":
		reading.note("prices are raw: adjust=split_dividend scales them by the column %q", t.spelt[slotAdjusted])
		return nil
	case opts.Adjust != AdjustSplitDividend:
		return nil
	}
	reading.Adjusted = AdjustSplitDividend
	open, high, low, closes := t.columns[slotOpen], t.columns[slotHigh], t.columns[slotLow], t.columns[slotClose]
	for i, to := range adjusted {
		if !(closes[i] > 0) || !(to > 0) {
			return &RowError{Row: t.rows.row(i), Column: t.spelt[slotAdjusted], Value: fmt.Sprint(to), Reason: "cannot scale the prices: both closes must be positive"}
		}
		factor := to / closes[i]
		if low[i] > min(open[i], closes[i]) || high[i] < max(open[i], closes[i]) {
			continue // wrong as it is: NewBars says so
		}
		open[i], closes[i] = open[i]*factor, to
		// Rounding must not bring a price out of the bar.
		high[i], low[i] = max(high[i]*factor, open[i], to), min(low[i]*factor, open[i], to)
	}
	reading.note("prices are scaled by the column %q; volumes are as in the file", t.spelt[slotAdjusted])
	return nil
}

// ranged asks about times that are hardly meant.
func (t *table) ranged(opts Options, _ *Reading) error {
	low, high := timeRange(opts)
	for _, i := range []int{0, t.len() - 1} {
		if at := t.time[i]; at < minMicros || at > maxMicros {
			return &RowError{Row: t.rows.row(i), Column: t.spelt[slotTime], Reason: errTimeRange.Error()}
		}
	}
	switch first, last := t.time[0], t.time[t.len()-1]; {
	case first < low:
		return ask("time_range", t.rows.row(0), choices["time_range"], "the first bar is of %s, before 1950: any takes it", time.UnixMicro(first).UTC().Format(time.RFC3339))
	case last > high:
		return ask("time_range", t.rows.row(t.len()-1), choices["time_range"], "the last bar is of %s, in the future: any takes it", time.UnixMicro(last).UTC().Format(time.RFC3339))
	}
	return nil
}

// jumpFactor is the change from a close to the next open from which on the rows are hardly of one instrument
// at one scale.
const jumpFactor = 10

// jumps asks where prices change manifold between two bars: two instruments may be stacked, with times that
// rise all the same, or prices of before and after a split.
func (t *table) jumps(opts Options, _ *Reading) error {
	if opts.Jump == JumpAny {
		return nil
	}
	open, closes := t.columns[slotOpen], t.columns[slotClose][:t.len()]
	for i := 1; i < t.len(); i++ {
		was, is := closes[i-1], open[i]
		if is < 2*was && was < 2*is {
			continue
		}
		if was > 0 && is > 0 && (is > was*jumpFactor || is < was/jumpFactor) {
			return ask("jump", t.rows.row(i), choices["jump"], "the price goes from %v to %v between two bars, as where two instruments are stacked or a split is not adjusted for: any takes it", was, is)
		}
	}
	return nil
}

// label holds the bars against the stated timeframe, or finds theirs.
func (t *table) label(opts Options, reading *Reading, bars *backtest.Bars) error {
	found := backtest.DetectTimeframe(bars.Time)
	switch {
	case opts.Timeframe != "":
		if err := opts.Timeframe.CheckTimeframe(bars.Time); err != nil {
			return &QuestionError{[]Question{{Option: "timeframe", Choices: timeframeChoices(found), Reason: err.Error()}}}
		}
		reading.Timeframe = opts.Timeframe
	case found == "":
		return ask("timeframe", 0, timeframeChoices(""), "the bars' distance is of no known timeframe: state it")
	default:
		reading.Timeframe = found
	}
	if gap, at := bars.LongestGap(); gap > 300*microsDay && gap > 3*reading.Timeframe.Micros() {
		reading.note("no bar for %d days from %s on", gap/microsDay, time.UnixMicro(bars.Time[at]).UTC().Format(time.DateOnly))
	}
	return nil
}

func timeframeChoices(found backtest.Timeframe) []string {
	if found != "" {
		return []string{string(found)}
	}
	var all []string
	for _, tf := range backtest.Timeframes() {
		all = append(all, string(tf))
	}
	return all
}
