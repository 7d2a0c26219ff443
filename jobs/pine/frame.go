package pine

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ir"
)

const (
	secondMillis = int64(1000)
	minuteMillis = 60 * secondMillis
	dayMillis    = 24 * 60 * minuteMillis
)

type frameKey struct {
	tf         string
	heikinAshi bool
}

// newFrame derives the series of bars; tf is "" for the bars' own.
func newFrame(b *backtest.Bars, tf string) *frame {
	f := &frame{bars: b, interval: typicalMillis(b.Time), tf: tf}
	if tf == "" {
		f.tf = spell(f.interval)
	}
	n := b.Len()
	for i := range f.series {
		switch i {
		case ir.SeriesOpen:
			f.series[i] = b.Open
		case ir.SeriesHigh:
			f.series[i] = b.High
		case ir.SeriesLow:
			f.series[i] = b.Low
		case ir.SeriesClose:
			f.series[i] = b.Close
		case ir.SeriesVolume:
			f.series[i] = b.Volume
		default:
			f.series[i] = make([]float64, n)
		}
	}
	for i := range n {
		o, h, l, c := b.Open[i], b.High[i], b.Low[i], b.Close[i]
		f.series[ir.SeriesHL2][i] = (h + l) / 2
		f.series[ir.SeriesHLC3][i] = (h + l + c) / 3
		f.series[ir.SeriesOHLC4][i] = (o + h + l + c) / 4
		f.series[ir.SeriesHLCC4][i] = (h + l + c + c) / 4
		t := b.Time[i] / 1000
		f.series[ir.SeriesTime][i] = float64(t)
		f.series[ir.SeriesTimeClose][i] = float64(t + f.interval)
		f.series[ir.SeriesIndex][i] = float64(i)
	}
	return f
}

// typicalMillis is the smallest common distance between bars: the median of the first ones.
func typicalMillis(time []int64) int64 {
	if len(time) < 2 {
		return dayMillis
	}
	counts := map[int64]int{}
	best, most := int64(0), 0
	for i := 1; i < min(len(time), 500); i++ {
		d := (time[i] - time[i-1]) / 1000
		if counts[d]++; counts[d] > most {
			best, most = d, counts[d]
		}
	}
	return best
}

// spell names an interval as timeframe.period does.
func spell(ms int64) string {
	switch {
	case ms >= 27*dayMillis:
		return strconv.FormatInt(max(1, (ms+15*dayMillis)/(30*dayMillis)), 10) + "M"
	case ms >= 7*dayMillis:
		return strconv.FormatInt(ms/(7*dayMillis), 10) + "W"
	case ms >= dayMillis:
		return strconv.FormatInt(ms/dayMillis, 10) + "D"
	case ms >= minuteMillis:
		return strconv.FormatInt(ms/minuteMillis, 10)
	}
	return strconv.FormatInt(ms/secondMillis, 10) + "S"
}

// timeframe is a parsed timeframe: a number of seconds, or of months.
type timeframe struct {
	unit  byte // 'S', 'm' minutes, 'D', 'W', 'M'
	count int64
}

var errTimeframe = errors.New("is not a timeframe")

func parseTimeframe(s string) (timeframe, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "" {
		return timeframe{}, errTimeframe
	}
	unit := byte('m')
	if last := s[len(s)-1]; last < '0' || last > '9' {
		unit, s = last, s[:len(s)-1]
	}
	n := int64(1)
	if s != "" {
		var err error
		if n, err = strconv.ParseInt(s, 10, 64); err != nil {
			return timeframe{}, errTimeframe
		}
	}
	switch unit {
	case 'S', 'm', 'D', 'W', 'M':
	case 'H':
		unit, n = 'm', n*60
	default:
		return timeframe{}, errTimeframe
	}
	if n < 1 || n > 1_000_000 {
		return timeframe{}, errTimeframe
	}
	return timeframe{unit, n}, nil
}

func (t timeframe) millis() int64 {
	switch t.unit {
	case 'S':
		return t.count * secondMillis
	case 'm':
		return t.count * minuteMillis
	case 'D':
		return t.count * dayMillis
	case 'W':
		return t.count * 7 * dayMillis
	}
	return t.count * 30 * dayMillis
}

// start is the opening of the period that holds ms, in zone.
func (t timeframe) start(ms int64, zone *time.Location) int64 {
	local := ms
	offset := int64(0)
	if zone != time.UTC {
		_, seconds := time.UnixMilli(ms).In(zone).Zone()
		offset = int64(seconds) * 1000
		local += offset
	}
	day := floorDiv(local, dayMillis)
	switch t.unit {
	case 'S', 'm':
		size := t.millis()
		if size >= dayMillis {
			return floorDiv(local, size)*size - offset
		}
		begin := day * dayMillis
		return begin + (local-begin)/size*size - offset
	case 'D':
		return floorDiv(day, t.count)*t.count*dayMillis - offset
	case 'W':
		monday := floorDiv(day+3, 7)*7 - 3
		return floorDiv(monday+3, 7*t.count)*7*t.count*dayMillis - 3*dayMillis - offset
	}
	d := time.UnixMilli(local).UTC()
	months := int64(d.Year())*12 + int64(d.Month()) - 1
	months = floorDiv(months, t.count) * t.count
	return time.Date(int(months/12), time.Month(months%12+1), 1, 0, 0, 0, 0, time.UTC).UnixMilli() - offset
}

// end is the opening of the period after the one that begins at start.
func (t timeframe) end(start int64, zone *time.Location) int64 {
	if t.unit == 'M' {
		d := time.UnixMilli(start).In(zone)
		return time.Date(d.Year(), d.Month()+time.Month(t.count), 1, 0, 0, 0, 0, zone).UnixMilli()
	}
	return start + t.millis()
}

// stretched is what a sub-program gives on each of the chart's bars.
type stretched struct {
	tf      float64
	columns [][]float64
}

// security gives a requested value on the current bar.
func (m *machine) security(c *callInfo, tf float64) error {
	if m.subs == nil {
		m.subs = map[int]*stretched{}
	}
	s := m.subs[c.n]
	if s == nil || s.tf != tf {
		columns, err := m.request(c.n, m.run.text(tf))
		if err != nil {
			var run *RunError
			if errors.As(err, &run) || errors.Is(err, ErrStopped) {
				return err
			}
			return failAt(c.pos, "request.security: "+err.Error())
		}
		s = &stretched{tf, columns}
		m.subs[c.n] = s
	}
	for i, d := range c.dst {
		m.regs[d] = s.columns[i][m.bar]
	}
	return nil
}

// request runs sub-program n over the bars of a timeframe and stretches its results.
func (m *machine) request(n int, tf string) ([][]float64, error) {
	sub := m.run.program.ir.Subs[n]
	f, last, err := m.run.otherFrame(m.f, tf, sub.HeikinAshi)
	if err != nil {
		return nil, err
	}
	c := m.run.program.subs[n]
	inner := newMachine(m.run, c, f)
	inner.reset()
	regs := c.results
	count := f.bars.Len()
	values := make([][]float64, len(regs))
	for i := range values {
		values[i] = make([]float64, count)
	}
	for b := range count {
		if err := inner.step(b); err != nil {
			return nil, err
		}
		for i, r := range regs {
			values[i][b] = inner.regs[r]
		}
		if b&4095 == 4095 && m.run.stopped() {
			return nil, ErrStopped
		}
	}
	out := make([][]float64, len(regs))
	for i := range out {
		out[i] = make([]float64, m.f.bars.Len())
		stretch(out[i], values[i], last, sub.Gaps, sub.LookAhead)
	}
	return out, nil
}

// stretch gives each chart bar the value of the last completed period; last says of each chart bar the
// period it is in, and whether it completes it.
func stretch(out, values []float64, last []period, gaps, ahead bool) {
	for i, p := range last {
		b := p.index
		if ahead {
			if gaps && i > 0 && last[i-1].index == b {
				b = -1
			}
		} else if !p.ends {
			b--
			if gaps {
				b = -1
			}
		}
		if b >= 0 {
			out[i] = values[b]
		} else {
			out[i] = math.NaN()
		}
	}
}

// period is where a chart bar stands in another timeframe.
type period struct {
	index int
	ends  bool // the bar completes it
}

// otherFrame builds the bars of another timeframe from those of f.
func (r *Run) otherFrame(f *frame, tf string, heikinAshi bool) (*frame, []period, error) {
	b := f.bars
	if tf == "" {
		tf = f.tf
	}
	t, err := parseTimeframe(tf)
	if err != nil {
		return nil, nil, fmt.Errorf("%q %w", tf, err)
	}
	if t.millis() < f.interval && t.unit != 'M' {
		return nil, nil, fmt.Errorf("the timeframe %q is lower than the chart's %q: use the chart's bars", tf, f.tf)
	}
	last := make([]period, b.Len())
	var times []int64
	var o, h, l, c, v []float64
	current, end := int64(math.MinInt64), int64(0)
	for i := range b.Len() {
		ms := b.Time[i] / 1000
		start := t.start(ms, r.market.Zone)
		if t.millis() == f.interval {
			start = ms
		}
		if start != current {
			current, end = start, t.end(start, r.market.Zone)
			times = append(times, start*1000)
			o, h, l, c, v = append(o, b.Open[i]), append(h, b.High[i]), append(l, b.Low[i]), append(c, b.Close[i]), append(v, 0)
		}
		n := len(times) - 1
		h[n], l[n], c[n], v[n] = max(h[n], b.High[i]), min(l[n], b.Low[i]), b.Close[i], v[n]+b.Volume[i]
		last[i] = period{index: n, ends: ms+f.interval >= end || t.millis() == f.interval}
	}
	key := frameKey{tf, heikinAshi}
	if other := r.frames[key]; other != nil && f == r.frame {
		return other, last, nil
	}
	if heikinAshi {
		heikin(o, h, l, c)
	}
	bars, err := backtest.NewBars(times, o, h, l, c, v)
	if err != nil {
		return nil, nil, err
	}
	other := newFrame(bars, tf)
	other.interval = t.millis()
	for i := range times {
		other.series[ir.SeriesTimeClose][i] = float64(t.end(times[i]/1000, r.market.Zone))
	}
	if f == r.frame {
		r.frames[key] = other
	}
	return other, last, nil
}

// heikin makes Heikin-Ashi prices of the bars in place.
func heikin(o, h, l, c []float64) {
	for i := range o {
		closing := (o[i] + h[i] + l[i] + c[i]) / 4
		open := (o[i] + c[i]) / 2
		if i > 0 {
			open = (o[i-1] + c[i-1]) / 2
		}
		h[i], l[i] = max(h[i], open, closing), min(l[i], open, closing)
		o[i], c[i] = open, closing
	}
}
