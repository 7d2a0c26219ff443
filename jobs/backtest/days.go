package backtest

import "slices"

// Where a day has several bars, the returns of runs in legs are those of days: one division a day instead of one a bar. They
// stay side by side, as the moments of one run are sums in which each addition waits for the one before.

// dayWalk is what runs in legs keep of days, a number of each run side by side.
type dayWalk struct {
	rows    []float64 // equity of some bars
	returns []float64 // of each day that has ended
	last    [Lanes]float64
	moments laneMoments
}

// laneMoments are the moments of the returns of several runs.
type laneMoments struct{ mean, m2, m3, m4, down [Lanes]float64 }

func (m *laneMoments) of(lane, periods int) moments {
	return moments{
		n: float64(periods), mean: m.mean[lane], m2: m.m2[lane], m3: m.m3[lane], m4: m.m4[lane], down: m.down[lane],
	}
}

// overDays walks from bar to bar, and gives each run the returns of the days that end before the last bar.
func (l *legs) overDays(runners []*Runner, from, last int) {
	if l.days == nil {
		l.days = &dayWalk{rows: make([]float64, barsOfRows*Lanes)}
	}
	r, d := runners[0], l.days
	ends := r.stats.ends
	idle := len(r.stats.returns) // the same of all runs
	at, _ := slices.BinarySearch(ends, int32(last))
	ends = ends[:at]
	d.returns = slices.Grow(d.returns[:0], (idle+len(ends)+1)*Lanes)[:(idle+len(ends))*Lanes]
	clear(d.returns[:idle*Lanes])
	for lane := range d.last {
		d.last[lane] = r.stats.last
	}
	for day, staying := 0, len(runners); from < last && staying > 0; {
		bars := min(barsOfRows, last-from)
		l.stood = *l.walk
		l.walk.overDays(r.bars.Close[from:from+bars], l.begun[from-r.window.From:][:bars], from, d.rows[:bars*Lanes])
		staying -= l.leave(runners, from, from+bars, func(lane int, r *Runner) {
			r.stats.tookDays(ends[:day], d.returns[idle*Lanes:], lane, d.last[lane])
		})
		ended := 0
		for day+ended < len(ends) && int(ends[day+ended]) < from+bars {
			ended++
		}
		d.add(ends[day:day+ended], from, d.returns[(idle+day)*Lanes:])
		day, from = day+ended, from+bars
	}
	for lane, r := range runners {
		if r.legs.left {
			continue
		}
		r.stats.tookDays(ends, d.returns[idle*Lanes:], lane, d.last[lane])
	}
}

// add writes the returns of days that end with bars of the rows, the first of which has number first.
func (d *dayWalk) add(ends []int32, first int, returns []float64) {
	if len(ends) > 0 {
		returnsOfDays(&d.last, d.rows, ends, first, returns[:len(ends)*Lanes])
	}
}

// tookDays takes one lane of the returns of days that have ended, the last of them with this equity.
func (s *equityStats) tookDays(ends []int32, rows []float64, lane int, last float64) {
	if len(ends) == 0 {
		return
	}
	at := len(s.returns)
	s.returns = slices.Grow(s.returns, len(ends)+1)[:at+len(ends)]
	for i := range ends {
		s.returns[at+i] = rows[i*Lanes+lane]
	}
	s.last, s.endedAt, s.ends = last, int(ends[len(ends)-1]), s.ends[len(ends):]
}

// measureDays computes the moments of all runs that are not unfit: their last day ends with the window.
func (l *legs) measureDays(runners []*Runner) {
	d := l.days
	days := len(d.returns) / Lanes
	d.returns = append(d.returns, make([]float64, Lanes)...)
	for lane, r := range runners {
		if !r.legs.unfit {
			d.returns[days*Lanes+lane] = r.stats.returns[days]
		}
	}
	momentsOfLanes(&d.moments, d.returns)
}

// overDaysPlain is overPlain without returns.
func (s *walk) overDaysPlain(closes []float64, begun []byte, bar int, rows, legs []float64) {
	before := *s
	s.overPlain(closes, begun, bar, rows, legs)
	s.last, s.r1, s.gains, s.losses, s.r3, s.r4 = before.last, before.r1, before.gains, before.losses, before.r3, before.r4
}

// returnsOfDaysPlain are the returns from equity to equity at the ends of days, lane by lane of each day; a ruined account
// has returns of zero. The first row is the bar with number first.
func returnsOfDaysPlain(last *[Lanes]float64, rows []float64, ends []int32, first int, returns []float64) {
	for lane := range last {
		stats := equityStats{last: last[lane]}
		for _, end := range ends {
			stats.period(rows[(int(end)-first)*Lanes+lane])
		}
		for day, growth := range stats.returns {
			returns[day*Lanes+lane] = growth
		}
		last[lane] = stats.last
	}
}

// momentsOfLanesPlain is momentsOf of each lane.
func momentsOfLanesPlain(m *laneMoments, returns []float64) {
	alone := make([]float64, len(returns)/Lanes)
	for lane := range Lanes {
		for i := range alone {
			alone[i] = returns[i*Lanes+lane]
		}
		of := momentsOf(alone)
		m.mean[lane], m.m2[lane], m.m3[lane], m.m4[lane], m.down[lane] = of.mean, of.m2, of.m3, of.m4, of.down
	}
}
