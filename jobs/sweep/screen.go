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
// Trials are taken a tile at a time, as the sums of a tile over all sets of blocks fit the second cache. Halves that have
// the upper eight blocks in common are taken together, as their sums over the lower eight fit the first.

const (
	// screenMargin is by how much g must differ. Of trials that are screenable, rounding moves it by less than 27·2⁻²⁴:
	// 8·2⁻²⁴ of √(n·q) in s, as |s| of a block is at most √(n·q) of the block, hence 17 of n·q in s·|s|; and 10 in
	// the product with q. A quotient by q is moved by one more.
	screenMargin = 4e-6
	// pboHalves is how many halves the blocks have: C(16,8).
	pboHalves = 12870
	// batchHalves is how many halves have the upper eight blocks in common, at most: C(8,4).
	batchHalves = 70
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
	asked         int                // how many ratios have been asked for
	sets          *[2][256]setSums   // nil until askedOften
}

// askedOften is how many ratios of a trial take as long as to make the sums over all sets of eight blocks.
const askedOften = 64

// setSums are the sums over a set of blocks.
type setSums struct{ sum, squares float64 }

// ratio is that of blockRow. Few trials are asked for it in most halves; their sums over all sets of eight blocks are kept.
func (row *screenedRow) ratio(set uint32, scale float64) float64 {
	if row.sets == nil {
		if row.asked++; row.asked < askedOften {
			return row.blockRow.ratio(set, scale)
		}
		row.addSets()
	}
	low, high := &row.sets[0][set&0xff], &row.sets[1][set>>8&0xff]
	return ratioOf(low.sum+high.sum, low.squares+high.squares, scale)
}

// addSets makes the sums over all sets: each is that of the set without its lowest block, and this one, which is the order of sumsOf.
func (row *screenedRow) addSets() {
	row.sets = new([2][256]setSums)
	for side := range row.sets {
		sums := &row.sets[side]
		for set := 1; set < len(sums); set++ {
			rest, block := &sums[set&(set-1)], side*8+bits.TrailingZeros8(uint8(set))
			sums[set] = setSums{rest.sum + row.blockRow.sums[block], rest.squares + row.blockRow.squares[block]}
		}
	}
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

// screenedHalf is what is known of one half: first its best trial, and then where that trial is in the other half.
type screenedHalf struct {
	set            uint32
	periods, scale float64
	best           *screenedRow
	is, oos        float64 // ratios of the best in this half and in the other
	lower          bool
}

// take makes a trial the best of the half.
func (h *screenedHalf) take(row *screenedRow, ratio float64) { h.best, h.is = row, ratio }

// level is n·g of the best trial in this half.
func (h *screenedHalf) level() float64 { return levelOf(h.is, h.periods) }

// margin is by how much n·g must differ.
func (h *screenedHalf) margin() float64 { return float64(screenMargin * h.periods) }

// levelOf is n·g of a ratio.
func levelOf(ratio, periods float64) float64 {
	return float64(ratio * math.Abs(ratio) / (1 + float64(ratio*ratio)) * periods)
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
	t, screened := newTile(), screenedRows(rows)
	batches := newBatches(halves, t)
	for first := 0; first < len(rows); first += tileTrials {
		t.fill(screened, first)
		for i := range batches {
			t.best(&batches[i], halves)
		}
	}
	for i := range halves {
		h, other := &halves[i], &halves[i^1]
		h.oos = h.best.ratio(other.set, other.scale)
	}
	for i := range batches {
		batches[i].aim(halves)
	}
	// What is best in one half is most often above half of all in the other, which the worst trials decide the soonest.
	for first := (len(rows) - 1) / tileTrials * tileTrials; first >= 0; first -= tileTrials {
		t.fill(screened, first)
		for i := range batches {
			t.rank(&batches[i], halves, len(rows))
		}
	}
	var tally splitTally
	for i := range halves {
		tally.note(halves[i].is, halves[i].oos, halves[i].lower)
	}
	return tally.result()
}
