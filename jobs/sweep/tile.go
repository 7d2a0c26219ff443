package sweep

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	// tileTrials is how many trials are compared at once: as many as a mask has bits.
	tileTrials = 64
	// columnTrials is how many of them are side by side: as many as the widest vectors have numbers.
	columnTrials = 16
	tileColumns  = tileTrials / columnTrials
)

// tile holds up to 64 trials' sums over each subset of the lower and of the upper eight blocks.
type tile struct {
	rows   []screenedRow
	first  int
	all    uint64 // a bit for each trial
	places [256]uint32
	sums   [2][tileColumns]sideSums
	under  [batchHalves]uint64 // of each half of a batch, the trials below its lower level
	within [batchHalves]uint64 // and those not above its upper one
}

// sideSums are the sums of a column over all subsets of eight blocks, each in its place: those of as many blocks side by side.
type sideSums [256]columnSums

type columnSums struct{ sums, squares [columnTrials]float32 }

// columnBytes is how far apart places are.
const columnBytes = 8 * columnTrials

func newTile() *tile {
	t := new(tile)
	sets := make([]uint32, len(t.places))
	for set := range sets {
		sets[set] = uint32(set)
	}
	slices.SortFunc(sets, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(bits.OnesCount32(a), bits.OnesCount32(b)), cmp.Compare(a, b))
	})
	for place, set := range sets {
		t.places[set] = uint32(place)
	}
	return t
}

// fill takes the trials from first on.
func (t *tile) fill(rows []screenedRow, first int) {
	t.rows, t.first = rows[first:min(first+tileTrials, len(rows))], first
	t.all = math.MaxUint64 >> (tileTrials - len(t.rows))
	for side := range t.sums {
		for column := range t.sums[side] {
			t.fillColumn(side, column)
		}
	}
}

func (t *tile) fillColumn(side, column int) {
	sums, from := &t.sums[side][column], column*columnTrials
	for block := range 8 {
		out := &sums[t.places[1<<block]]
		for i := range min(columnTrials, len(t.rows)-from) {
			row := &t.rows[from+i]
			out.sums[i], out.squares[i] = row.sums[side*8+block], row.squares[side*8+block]
		}
	}
	for set := 1; set < 256; set++ {
		if rest := set & (set - 1); rest != 0 {
			addSums(&sums[t.places[set]], &sums[t.places[rest]], &sums[t.places[set&-set]])
		}
	}
}

// batch are halves with the upper eight blocks in common. For each that is not decided yet it has what a tile is held
// against: n·g between two levels is too near to be distinguished.
type batch struct {
	upper     uint32   // place of the sums over the upper blocks
	halves    []int32  // by number
	lowers    []uint32 // bytes to the sums over the lower blocks
	low, high []float32
	below     []int32 // trials with a lower ratio than the best of the other half
	equal     []int32 // and with the same ratio
}

// newBatches collects the halves without the last block, then those with it.
func newBatches(halves []screenedHalf, t *tile) []batch {
	var batches []batch
	for side := range 2 {
		upper := uint32(math.MaxUint32)
		for i := side; i < len(halves); i += 2 {
			if set := halves[i].set; set>>8 != upper {
				upper = set >> 8
				batches = append(batches, batch{upper: t.places[upper]})
			}
			b := &batches[len(batches)-1]
			b.halves = append(b.halves, int32(i))
			b.lowers = append(b.lowers, columnBytes*t.places[halves[i].set&0xff])
		}
	}
	for i := range batches {
		b := &batches[i]
		n := len(b.halves)
		b.low, b.high = make([]float32, n), make([]float32, n)
		b.below, b.equal = make([]int32, n), make([]int32, n)
	}
	return batches
}

// aim sets the levels of each half to where the best trial of its other half is in it.
func (b *batch) aim(halves []screenedHalf) {
	for k, i := range b.halves {
		h := &halves[i]
		level := levelOf(halves[i^1].oos, h.periods)
		b.low[k], b.high[k] = float32(level-h.margin()), float32(level+h.margin())
	}
}

// best takes the trial with the highest ratio in each half, if it is one of the tile; the first of equals.
func (t *tile) best(b *batch, halves []screenedHalf) {
	if t.first == 0 {
		t.peaks(b)
		for k, i := range b.halves { // a peak is rounded as well as what it is compared with
			b.low[k] -= float32(2 * halves[i].margin())
		}
	}
	compare(t, b, false)
	for k, i := range b.halves {
		near := t.all &^ t.under[k]
		if near == 0 {
			continue
		}
		h := &halves[i]
		before := h.best
		for ; near != 0; near &= near - 1 {
			row := &t.rows[bits.TrailingZeros64(near)]
			if ratio := row.ratio(h.set, h.scale); h.best == nil || ratio > h.is || ratio == h.is && row.place < h.best.place {
				h.take(row, ratio)
			}
		}
		if h.best != before {
			b.low[k] = float32(h.level() - h.margin())
		}
	}
}

// rank counts the tile's trials that have a lower ratio in each half than the best of its other half has there, until it is
// decided whether that is half of all. Halves that are decided leave the batch.
func (t *tile) rank(b *batch, halves []screenedHalf, trials int) {
	if len(b.halves) == 0 {
		return
	}
	compare(t, b, true)
	rest, left := int32(t.first), 0
	for k, i := range b.halves {
		below, equal := b.below[k]+int32(bits.OnesCount64(t.under[k]&t.all)), b.equal[k]
		of := &halves[i^1]
		for near := t.within[k] &^ t.under[k] & t.all; near != 0; near &= near - 1 {
			row := &t.rows[bits.TrailingZeros64(near)]
			if row == of.best {
				equal++
			} else if ratio := row.ratio(halves[i].set, halves[i].scale); ratio < of.oos {
				below++
			} else if ratio == of.oos {
				equal++
			}
		}
		lower := inLowerHalf(int(below+rest), int(equal), trials)
		if lower || !inLowerHalf(int(below), int(equal), trials) {
			of.lower = lower
			continue
		}
		b.halves[left], b.lowers[left], b.low[left], b.high[left] = i, b.lowers[k], b.low[k], b.high[k]
		b.below[left], b.equal[left] = below, equal
		left++
	}
	b.halves, b.lowers, b.low, b.high = b.halves[:left], b.lowers[:left], b.low[:left], b.high[:left]
}

// peaks sets the lower level of each half to the highest n·g of the tile there, of the trials that have any.
func (t *tile) peaks(b *batch) {
	for k := range b.low {
		b.low[k] = float32(math.Inf(-1))
	}
	peaks(t, b)
}

// peaksPlain raises the lower level of each half to the highest n·g of the tile there, of the trials that have any.
func peaksPlain(t *tile, b *batch) {
	for column := range tileColumns {
		upper := &t.sums[1][column][b.upper]
		for k, at := range b.lowers {
			lower := &t.sums[0][column][at/columnBytes]
			for i := range columnTrials {
				g, squares := lower.signedSquare(upper, i)
				if peak := g / squares; peak > b.low[k] {
					b.low[k] = peak
				}
			}
		}
	}
}

// comparePlain sets under: of each half the trials, a bit each, whose s·|s| is less than the lower level times q; with both
// it sets within too, those whose s·|s| is not more than the upper level times q.
func comparePlain(t *tile, b *batch, both bool) {
	for k, at := range b.lowers {
		var under, within uint64
		for trial := range tileTrials {
			column, i := trial/columnTrials, trial%columnTrials
			g, squares := t.sums[0][column][at/columnBytes].signedSquare(&t.sums[1][column][b.upper], i)
			if g < b.low[k]*squares {
				under |= 1 << trial
			}
			if both && g <= b.high[k]*squares {
				within |= 1 << trial
			}
		}
		if t.under[k] = under; both {
			t.within[k] = within
		}
	}
}

// signedSquare is s·|s| of a trial, and its q, where s and q are the sums over both sets of blocks.
func (c *columnSums) signedSquare(other *columnSums, trial int) (g, squares float32) {
	sum := c.sums[trial] + other.sums[trial]
	return sum * math.Float32frombits(math.Float32bits(sum)&^(1<<31)), c.squares[trial] + other.squares[trial]
}

// addPlain is addSums without vectors.
func addPlain(out, a, b *columnSums) {
	for i := range out.sums {
		out.sums[i] = a.sums[i] + b.sums[i]
		out.squares[i] = a.squares[i] + b.squares[i]
	}
}
