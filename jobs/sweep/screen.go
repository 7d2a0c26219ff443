package sweep

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A ratio takes a division and a root, and there are 12,870 for each trial. But all that a split shows is
// which trial has the highest ratio in one half, and whether half of the trials have lower ratios than it
// in the other. With the sum s of n returns and the sum q of their squares, the ratio r has
//
//	g = s·|s| / (n·q) = r·|r| / (1 + r²)
//
// which grows with r, so a trial is held against the ratio r by comparing s·|s| with n·g·q. Where the two
// are closer than rounding can explain, the ratios themselves are compared, so that the result is always
// that of comparing ratios. That leaves the first comparison to sums of half the precision, of which twice as many
// fit a vector and the cache: only how often ratios are compared depends on them.
//
// Trials are taken a tile at a time, as the sums of a tile over all sets of blocks fit the cache.

const (
	// tileTrials is how many trials are compared at once: as many as a mask has bits.
	tileTrials = 64
	// screenMargin is by how much g must differ. Of trials that are screenable, rounding moves it by less than 27·2⁻²⁴:
	// 8·2⁻²⁴ of √(n·q) in s, as |s| of a block is at most √(n·q) of the block, hence 17 of n·q in s·|s|; and 10 in
	// the product with q.
	screenMargin = 4e-6
	// pboHalves is how many halves the blocks have: C(16,8).
	pboHalves = 12870
)

// screenable reports whether rounding moves g of every trial in every half by less than the margin. It does
// where in each block the variance is at least a hundredth of the mean square, as then it is in every
// union of blocks, and where no square is so small or so large that the variance is lost, nor so small beside
// those of the other blocks that it is lost in sums of half the precision.
func screenable(rows []blockRow) bool {
	for i := range rows {
		row := &rows[i]
		if row.counts != rows[0].counts {
			return false
		}
		least, largest := 1e-20*float64(row.periods), slices.Max(row.squares[:])
		for b, q := range row.squares {
			s := row.sums[b]
			if s == 0 && q == 0 {
				continue
			}
			if !(q >= least && q >= 1e-30*largest && q <= 1e100 && s*s <= 0.99*float64(row.counts[b])*q) {
				return false
			}
		}
	}
	return true
}

// screenedRow is a trial as it is screened.
type screenedRow struct {
	*blockRow
	place         int
	sums, squares [pboBlocks]float32 // scaled by a power of two and its square, which leaves g as it is
}

// screenedRows are the trials with the best of all blocks first, which are likely to be the best of many halves.
func screenedRows(rows []blockRow) []screenedRow {
	scale := 1 / periodsOf(&rows[0].counts, 1<<pboBlocks-1)
	whole := make([]float64, len(rows))
	screened := make([]screenedRow, len(rows))
	for i := range rows {
		row := &rows[i]
		whole[i] = row.ratio(1<<pboBlocks-1, scale)
		screened[i].blockRow, screened[i].place = row, i
		_, exponent := math.Frexp(slices.Max(row.squares[:]))
		shift := -exponent / 2
		for b := range row.sums {
			screened[i].sums[b] = float32(math.Ldexp(row.sums[b], shift))
			screened[i].squares[b] = float32(math.Ldexp(row.squares[b], 2*shift))
		}
	}
	slices.SortFunc(screened, func(a, b screenedRow) int {
		return cmp.Or(cmp.Compare(whole[b.place], whole[a.place]), cmp.Compare(a.place, b.place))
	})
	return screened
}

// tile holds up to 64 trials' sums over each subset of the lower and of the upper eight blocks.
type tile struct {
	rows  []screenedRow
	first int
	all   uint64 // a bit for each trial
	sums  [2][256]tileSums
}

type tileSums struct{ sums, squares [tileTrials]float32 }

// fill takes the trials from first on.
func (t *tile) fill(rows []screenedRow, first int) {
	t.rows, t.first = rows[first:min(first+tileTrials, len(rows))], first
	t.all = math.MaxUint64 >> (tileTrials - len(t.rows))
	for side := range t.sums {
		sums := &t.sums[side]
		for block := range 8 {
			out := &sums[1<<block]
			for i := range t.rows {
				out.sums[i], out.squares[i] = t.rows[i].sums[side*8+block], t.rows[i].squares[side*8+block]
			}
		}
		for set := 1; set < 256; set++ {
			if rest := set & (set - 1); rest != 0 {
				addSums(&sums[set], &sums[rest], &sums[set&-set])
			}
		}
	}
}

// screenedHalf is what is known of one half: first its best trial, and then where that trial is in the other half.
type screenedHalf struct {
	set            uint32
	periods, scale float64
	best           *screenedRow
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
			halves = append(halves, screenedHalf{set: set, periods: periods, scale: 1 / periods})
		}
	})
	screened := screenedRows(rows)
	t := new(tile)
	for first := 0; first < len(rows); first += tileTrials {
		t.fill(screened, first)
		for i := range halves {
			h := &halves[i]
			if h.best == nil { // the half before is nearly the same, and so may be its best
				h.take(&screened[0])
				if i >= 2 {
					h.take(halves[i-2].best)
				}
			}
			t.best(h)
		}
	}
	for i := range halves {
		h, other := &halves[i], &halves[i^1]
		h.oos = h.best.ratio(other.set, other.scale)
		h.level = levelOf(h.oos, other.periods)
	}
	for first := 0; first < len(rows); first += tileTrials {
		t.fill(screened, first)
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
	return compareSums(&t.sums[0][set&0xff], &t.sums[1][set>>8], float32(low), float32(high))
}

// take makes a trial the best of the half.
func (h *screenedHalf) take(row *screenedRow) {
	h.best, h.is = row, row.ratio(h.set, h.scale)
	h.level = levelOf(h.is, h.periods)
}

// best takes the trial with the highest ratio in the half, if it is one of the tile; the first of equals.
func (t *tile) best(h *screenedHalf) {
	level := h.level - float64(screenMargin*h.periods)
	under, _ := t.compare(h.set, level, level)
	for near := t.all &^ under; near != 0; near &= near - 1 {
		row := &t.rows[bits.TrailingZeros64(near)]
		if row == h.best {
			continue
		}
		if ratio := row.ratio(h.set, h.scale); ratio > h.is || ratio == h.is && row.place < h.best.place {
			h.best, h.is = row, ratio
			h.level = levelOf(ratio, h.periods)
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
		if ratio := t.rows[bits.TrailingZeros64(near)].ratio(other.set, other.scale); ratio < h.oos {
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
func comparePlain(lower, upper *tileSums, low, high float32) (under, notOver uint64) {
	for i := range lower.sums {
		sum, squares := lower.sums[i]+upper.sums[i], lower.squares[i]+upper.squares[i]
		g := sum * math.Float32frombits(math.Float32bits(sum)&^(1<<31))
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

// addPlain is addSums without vectors.
func addPlain(out, a, b *tileSums) {
	for i := range out.sums {
		out.sums[i] = a.sums[i] + b.sums[i]
		out.squares[i] = a.squares[i] + b.squares[i]
	}
}
