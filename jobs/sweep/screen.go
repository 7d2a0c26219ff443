package sweep

import (
	"math"
	"math/bits"
)

// A ratio takes a division and a root, and there are 12,870 for each trial. But all that a split shows is
// which trial has the highest ratio in one half, and whether half of the trials have lower ratios than it
// in the other. With the sum s of n returns and the sum q of their squares, the ratio r has
//
//	g = s·|s| / (n·q) = r·|r| / (1 + r²)
//
// which grows with r, so a trial is held against the ratio r by comparing s·|s| with n·g·q. Where the two
// are closer than rounding can explain, the ratios themselves are compared, so that the result is always
// that of comparing ratios.
//
// Trials are taken a tile at a time, as the sums of a tile over all sets of blocks fit the cache.

const (
	// tileTrials is how many trials are compared at once: as many as a mask has bits.
	tileTrials = 64
	// screenMargin is by how much g must differ. Rounding moves it by less than 1e-13 of trials that are screenable.
	screenMargin = 1e-11
	// pboHalves is how many halves the blocks have: C(16,8).
	pboHalves = 12870
)

// screenable reports whether rounding moves g of every trial in every half by less than the margin. It does
// where in each block the variance is at least a hundredth of the mean square, as then it is in every
// union of blocks, and where no square is so small or so large that the variance is lost.
func screenable(rows []blockRow) bool {
	for i := range rows {
		row := &rows[i]
		if row.counts != rows[0].counts {
			return false
		}
		least := 1e-20 * float64(row.periods)
		for b, q := range row.squares {
			s := row.sums[b]
			if s == 0 && q == 0 {
				continue
			}
			if !(q >= least && q <= 1e100 && s*s <= 0.99*float64(row.counts[b])*q) {
				return false
			}
		}
	}
	return true
}

// tile holds up to 64 trials' sums over each subset of the lower and of the upper eight blocks.
type tile struct {
	first int
	all   uint64 // a bit for each trial
	sums  [2][256]tileSums
}

type tileSums struct{ sums, squares [tileTrials]float64 }

func (t *tile) fill(rows []blockRow, first int) {
	rows = rows[first:min(first+tileTrials, len(rows))]
	t.first, t.all = first, math.MaxUint64>>(tileTrials-len(rows))
	for side := range t.sums {
		for set := 1; set < 256; set++ {
			block := side*8 + bits.TrailingZeros(uint(set))
			out, rest := &t.sums[side][set], &t.sums[side][set&(set-1)]
			if set&(set-1) == 0 {
				for i := range rows {
					out.sums[i], out.squares[i] = 0+rows[i].sums[block], 0+rows[i].squares[block]
				}
				continue
			}
			own := &t.sums[side][set&-set]
			for i := range out.sums {
				out.sums[i] = rest.sums[i] + own.sums[i]
			}
			for i := range out.squares {
				out.squares[i] = rest.squares[i] + own.squares[i]
			}
		}
	}
}

// screenedHalf is what is known of one half: first its best trial, and then where that trial is in the other half.
type screenedHalf struct {
	set            uint32
	periods, scale float64
	best           int
	is, oos        float64 // ratios of the best in this half and in the other
	level          float64 // n·g of the best, in this half and later in the other
	below, equal   int     // trials with lower and with the same ratio in the other half
	decided, lower bool
}

// judgeSplits finds what judgeEachRatio does, from trials that are screenable.
func judgeSplits(rows []blockRow) pboResult {
	halves := make([]screenedHalf, 0, pboHalves) // each beside its other
	eachSplit(func(half, other uint32) {
		for _, set := range [...]uint32{half, other} {
			periods := periodsOf(&rows[0].counts, set)
			halves = append(halves, screenedHalf{set: set, periods: periods, scale: 1 / periods, best: -1})
		}
	})
	t := new(tile)
	for first := 0; first < len(rows); first += tileTrials {
		t.fill(rows, first)
		for i := range halves {
			h := &halves[i]
			if h.best < 0 { // the half before is nearly the same, and so may be its best
				h.take(t, max(0, halves[max(0, i-2)].best))
			}
			t.best(h)
		}
	}
	for i := range halves {
		h, other := &halves[i], &halves[i^1]
		h.oos = rows[h.best].ratio(other.set, other.scale)
		h.level = levelOf(h.oos, other.periods)
	}
	for first := 0; first < len(rows); first += tileTrials {
		t.fill(rows, first)
		for i := range halves {
			if h := &halves[i]; !h.decided {
				t.rank(h, &halves[i^1], len(rows))
			}
		}
	}
	var tally splitTally
	for i := range halves {
		tally.note(halves[i].is, halves[i].oos, halves[i].lower)
	}
	return tally.result()
}

// levelOf is n·g of a ratio.
func levelOf(ratio, periods float64) float64 {
	return ratio * math.Abs(ratio) / (1 + float64(ratio*ratio)) * periods
}

// compare is compareSums of the tile's trials in a half.
func (t *tile) compare(set uint32, low, high float64) (under, notOver uint64) {
	return compareSums(&t.sums[0][set&0xff], &t.sums[1][set>>8], low, high)
}

func (t *tile) ratio(i int, h *screenedHalf) float64 {
	lower, upper := &t.sums[0][h.set&0xff], &t.sums[1][h.set>>8]
	return ratioOf(lower.sums[i]+upper.sums[i], lower.squares[i]+upper.squares[i], h.scale)
}

// take makes a trial of the tile the best of the half.
func (h *screenedHalf) take(t *tile, trial int) {
	h.best, h.is = trial, t.ratio(trial-t.first, h)
	h.level = levelOf(h.is, h.periods)
}

// best takes the trial with the highest ratio in the half, if it is one of the tile; the first of equals.
func (t *tile) best(h *screenedHalf) {
	level := h.level - float64(screenMargin*h.periods)
	under, _ := t.compare(h.set, level, level)
	for near := t.all &^ under; near != 0; near &= near - 1 {
		i := bits.TrailingZeros64(near)
		if ratio, trial := t.ratio(i, h), t.first+i; ratio > h.is || ratio == h.is && trial < h.best {
			h.take(t, trial)
		}
	}
}

// rank counts the tile's trials that have a lower ratio in the other half than the best has there, until it is decided
// whether that is half of all.
func (t *tile) rank(h, other *screenedHalf, trials int) {
	margin := float64(screenMargin * other.periods)
	under, notOver := t.compare(other.set, h.level-margin, h.level+margin)
	h.below += bits.OnesCount64(under & t.all)
	for near := notOver &^ under & t.all; near != 0; near &= near - 1 {
		if ratio := t.ratio(bits.TrailingZeros64(near), other); ratio < h.oos {
			h.below++
		} else if ratio == h.oos {
			h.equal++
		}
	}
	rest := max(0, trials-t.first-tileTrials)
	h.lower = inLowerHalf(h.below+rest, h.equal, trials)
	h.decided = h.lower || !inLowerHalf(h.below, h.equal, trials)
}

// comparePlain is compareSums without vectors.
func comparePlain(lower, upper *tileSums, low, high float64) (under, notOver uint64) {
	for i := range lower.sums {
		sum, squares := lower.sums[i]+upper.sums[i], lower.squares[i]+upper.squares[i]
		g := sum * math.Abs(sum)
		var isUnder, isNotOver uint64
		if g < low*squares {
			isUnder = 1
		}
		if g <= high*squares {
			isNotOver = 1
		}
		under |= isUnder << i
		notOver |= isNotOver << i
	}
	return under, notOver
}
