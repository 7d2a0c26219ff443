package backtest

import "slices"

// SimulateTogether is Simulate of up to Lanes runners over one history, bit for bit, in less time.
func SimulateTogether(runners []*Runner, w Window, metrics []*Metrics) {
	if w.Len() <= 0 {
		for i, r := range runners {
			r.Simulate(w, metrics[i])
		}
		return
	}
	if !slices.ContainsFunc(runners, func(r *Runner) bool { return !r.inLegs(w) }) {
		simulateLegs(runners, w, metrics)
		return
	}
	for len(runners) > 0 {
		side := min(sumLanes, len(runners))
		simulateChunks(runners[:side], w, metrics)
		runners, metrics = runners[side:], metrics[side:]
	}
}

// simulateChunks is SimulateTogether of at most sumLanes runners, chunk after chunk of bars.
func simulateChunks(runners []*Runner, w Window, metrics []*Metrics) {
	for _, r := range runners {
		r.begin(w)
	}
	for bar := w.From; bar < w.To; {
		bar = min(bar+equityChunk, w.To)
		for _, r := range runners {
			r.advance(bar)
		}
		sumTogether(runners)
	}
	for i, r := range runners {
		*metrics[i] = Metrics{Bars: w.Len()}
		r.stats.finish(r.course.tally.cash)
		r.summarise(w, &r.course.tally, metrics[i])
	}
}

// sumTogether sums the returns of the bars that the runners have read. A lane with fewer than another is filled with
// bars that do not move the equity; one without a runner sums what another does.
func sumTogether(runners []*Runner) {
	var spare *Runner
	bars := 0
	for _, r := range runners {
		if r.read > 0 && r.equity[r.read-1] <= 0 { // the last return of the run
			r.stats.sum(r.equity[:r.read])
		}
		if r.stats.summing() {
			spare, bars = r, max(bars, r.read)
		}
	}
	if bars += bars & 1; bars > 0 {
		var sums laneSums
		var lanes [sumLanes][]float64
		for i := range lanes {
			r := spare
			if i < len(runners) && runners[i].stats.summing() {
				r = runners[i]
			}
			sums.load(i, &r.stats)
			lanes[i] = r.padded(bars)
		}
		sums.add(&lanes)
		for i, r := range runners {
			if r.stats.summing() {
				sums.store(i, &r.stats)
			}
		}
	}
	for _, r := range runners {
		r.summed()
	}
}

// padded is the equity of the bars read, and then the last of it again.
func (r *Runner) padded(bars int) []float64 {
	last := r.stats.summed
	if r.read > 0 {
		last = r.equity[r.read-1]
	}
	for i := r.read; i < bars; i++ {
		r.equity[i] = last
	}
	return r.equity[:bars]
}

func (s *laneSums) load(lane int, from *equityStats) {
	s.last[lane] = from.summed
	s.r1[lane], s.gains[lane], s.losses[lane] = from.sums.r1, from.sums.squares[0], from.sums.squares[1]
	s.r3[lane], s.r4[lane] = from.sums.r3, from.sums.r4
}

func (s *laneSums) store(lane int, to *equityStats) {
	to.summed = s.last[lane]
	to.sums = powerSums{s.r1[lane], [2]float64{s.gains[lane], s.losses[lane]}, s.r3[lane], s.r4[lane]}
}
