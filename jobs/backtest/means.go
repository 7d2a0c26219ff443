package backtest

import "iter"

// The trials of a sweep look up means over many periods. Each addition to the sum of one waits for the one before, so the
// means of several periods are computed side by side.

// meanLanes are the sums of several periods' windows, a number of each side by side, and where their values are: those that
// leave the windows next, and the means to write.
type meanLanes struct {
	sum, lost, n [Lanes]float64
	outgoing     [Lanes]*float64
	out          [Lanes]*float64
}

// rollingMeans is rollingMean of up to Lanes periods, bit for bit.
func rollingMeans(values []float64, periods []int, outs [][]float64) {
	var sums [Lanes]compensated
	from, fit := 0, true
	for k, period := range periods {
		var ok bool
		sums[k], ok = firstMean(values, period, outs[k])
		from, fit = max(from, period), fit && ok
	}
	if !fit { // some history is shorter than its period
		for k, period := range periods {
			rollingMean(values, period, outs[k])
		}
		return
	}
	to := from + (len(values)-from)&^(meanBars-1)
	for k, period := range periods {
		sums[k].means(values, period, period, from, outs[k])
	}
	sideBySide(values, periods, from, to, sums[:len(periods)], outs)
	for k, period := range periods {
		sums[k].means(values, period, to, len(values), outs[k])
	}
}

// meanBars is how many values vectors take at a time.
const meanBars = 8

// sideBySide is compensated.means of each period over some groups of meanBars values.
func sideBySide(values []float64, periods []int, from, to int, sums []compensated, outs [][]float64) {
	if from == to || !hasLanes() {
		for k, period := range periods {
			sums[k].means(values, period, from, to, outs[k])
		}
		return
	}
	var s meanLanes
	spare := make([]float64, to-from)
	for k := range Lanes {
		of := min(k, len(periods)-1) // lanes without a period do what the last one does
		s.sum[k], s.lost[k], s.n[k] = sums[of].sum, sums[of].lost, float64(periods[of])
		s.outgoing[k], s.out[k] = &values[from-periods[of] : to-periods[of]][0], &spare[0]
		if k == of {
			s.out[k] = &outs[k][from:to][0]
		}
	}
	s.add(values[from:to])
	for k := range sums {
		sums[k] = compensated{s.sum[k], s.lost[k]}
	}
}

// averager is a strategy whose signals come from means of closes over the periods that it appends.
type averager interface {
	averages(p Params, periods []int) []int
}

// mostExpected bounds the periods that are computed before any trial asks for them.
const mostExpected = 1 << 16

// Expect computes means that trials of the points will look up, several side by side: as many as half of the cache holds.
func (r *Runner) Expect(points iter.Seq[Params]) {
	s, ok := r.strategy.(averager)
	if !ok || !hasLanes() {
		return
	}
	var wanted []bool // by period
	var periods []int
	for p := range points {
		for _, n := range s.averages(p, periods[:0]) {
			if n < 1 || n >= mostExpected {
				continue
			}
			if n >= len(wanted) {
				wanted = append(wanted, make([]bool, n+1-len(wanted))...)
			}
			wanted[n] = true
		}
	}
	periods = periods[:0]
	for n, w := range wanted {
		if w {
			periods = append(periods, n)
		}
	}
	if len(periods) > 1 && len(periods) <= r.ind.cache.limit/2 {
		r.ind.expect(periods)
	}
}

// expect fills the arrays of means that are not there yet.
func (ind *Indicators) expect(periods []int) {
	defer ind.release()
	var missing []*indicatorArray
	for _, n := range periods {
		a, found := ind.cache.acquire(indicatorKey{kind: "sma", period: n})
		if ind.inUse = append(ind.inUse, a); !found {
			missing = append(missing, a)
		}
		if len(missing) == Lanes {
			ind.fillMeans(missing)
			missing = missing[:0]
		}
	}
	ind.fillMeans(missing)
}

func (ind *Indicators) fillMeans(arrays []*indicatorArray) {
	if len(arrays) == 0 {
		return
	}
	periods, outs := make([]int, len(arrays)), make([][]float64, len(arrays))
	for i, a := range arrays {
		periods[i], outs[i] = a.key.period, a.values
	}
	done := false
	defer func() {
		for _, a := range arrays {
			if done {
				close(a.filled)
			} else {
				ind.cache.discard(a)
			}
		}
	}()
	rollingMeans(ind.Bars().Close, periods, outs)
	done = true
}
