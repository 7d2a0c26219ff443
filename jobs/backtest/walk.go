package backtest

import "math"

// walk is what several runs in legs go from bar to bar with, a number of each side by side: the leg that a run is in, its
// last equity, the powerSums of its returns, and its drawdown as equityStats follow it. The division of a return takes the
// processor longer than all the rest, which it does meanwhile.
type walk struct {
	units, entry, cash        [Lanes]float64
	last                      [Lanes]float64 // equity
	r1, gains, losses, r3, r4 [Lanes]float64
	least                     [Lanes]float64 // equity
	peak, floor, drawdown     [Lanes]float64
	peakAt, below             [Lanes]int
	next                      [Lanes]int // offset of the leg to come
	legs                      [Lanes]*float64
}

// legBytes is how far apart the legs of a run are.
const legBytes = 8 * legNumbers

// load takes a run to its first leg.
func (s *walk) load(lane int, r *Runner, first *float64) {
	stats := &r.stats
	s.units[lane], s.entry[lane], s.cash[lane] = 0, 0, r.cfg.Account.Cash
	s.last[lane], s.least[lane] = stats.summed, math.Inf(1)
	s.r1[lane], s.gains[lane], s.losses[lane] = stats.sums.r1, stats.sums.squares[0], stats.sums.squares[1]
	s.r3[lane], s.r4[lane] = stats.sums.r3, stats.sums.r4
	s.peak[lane], s.floor[lane], s.drawdown[lane] = stats.peak, stats.floor, stats.drawdown
	s.peakAt[lane], s.below[lane] = stats.peakAt, stats.below
	s.next[lane], s.legs[lane] = legBytes, first
}

// stand has a lane without a run keep its equity.
func (s *walk) stand(lane int) {
	s.units[lane], s.entry[lane], s.cash[lane], s.last[lane] = 0, 0, 1, 1
	s.peak[lane], s.floor[lane], s.legs[lane] = math.Inf(1), 0, nil
}

// store gives a run what it has come to before the last bar. One that was ruined on the way is unfit.
func (s *walk) store(lane int, r *Runner, last int) {
	stats := &r.stats
	if s.legs[lane] = nil; !(s.least[lane] > 0) {
		r.unfit()
		return
	}
	stats.sums = powerSums{s.r1[lane], [2]float64{s.gains[lane], s.losses[lane]}, s.r3[lane], s.r4[lane]}
	stats.peak, stats.floor, stats.drawdown = s.peak[lane], s.floor[lane], s.drawdown[lane]
	stats.peakAt, stats.below = s.peakAt[lane], s.below[lane]
	stats.summed, stats.bar = s.last[lane], last
	if !stats.kept() {
		stats.last = stats.summed
	}
}

// overPlain goes over some bars, of which the first has number bar. begun has a bit for each lane whose next leg begins with
// a bar; legs has those of all lanes, side by side. Unless rows is nil it becomes the equity, lane by lane of each bar.
func (s *walk) overPlain(closes []float64, begun []byte, bar int, rows []float64, legs []float64) {
	for i, c := range closes {
		for lane := range Lanes {
			if begun[i]>>lane&1 == 1 {
				at := legs[s.next[lane]/8+lane:]
				s.units[lane], s.entry[lane], s.cash[lane] = at[0], at[Lanes], at[2*Lanes]
				s.next[lane] += legBytes
			}
			e := s.cash[lane] + float64(s.units[lane]*(c-s.entry[lane]))
			if rows != nil {
				rows[i*Lanes+lane] = e
			}
			if e < s.least[lane] {
				s.least[lane] = e
			}
			switch {
			case e >= s.peak[lane]:
				s.below[lane] = max(s.below[lane], BarsBelow(s.peakAt[lane], bar+i))
				s.peak[lane], s.peakAt[lane] = e, bar+i
				s.floor[lane] = e * (1 - s.drawdown[lane])
			case !(e >= s.floor[lane]):
				s.drawdown[lane], s.floor[lane] = 1-e/s.peak[lane], e
			}
			sums := powerSums{s.r1[lane], [2]float64{s.gains[lane], s.losses[lane]}, s.r3[lane], s.r4[lane]}
			s.last[lane] = sums.add(s.last[lane], []float64{e})
			s.r1[lane], s.gains[lane], s.losses[lane] = sums.r1, sums.squares[0], sums.squares[1]
			s.r3[lane], s.r4[lane] = sums.r3, sums.r4
		}
	}
}
