package sweep

import (
	"fmt"
	"math"
	"math/bits"
)

// pboResult is what cross-validation found.
type pboResult struct{ pbo, slope, loss float64 }

// crossValidate is CSCV over the block sums of at least two trials. Each split's in-sample half is
// another's out-of-sample half, so both are judged at once.
func crossValidate(rows []blockRow) (result pboResult, missing string) {
	if len(rows) < 2 {
		return pboResult{}, "fewer than two trials traded"
	}
	if periods := rows[0].periods; periods < pboMinPeriods {
		return pboResult{}, fmt.Sprintf("%d return periods are fewer than %d", periods, pboMinPeriods)
	}
	if screenable(rows) {
		return judgeSplits(rows), ""
	}
	return judgeEachRatio(rows), ""
}

// eachSplit calls fn with a half of the blocks and with the other, for each pair of halves.
func eachSplit(fn func(half, other uint32)) {
	const all = 1<<pboBlocks - 1
	for half := uint32(0); half < 1<<(pboBlocks-1); half++ { // the top block is out of sample here
		if bits.OnesCount32(half) == pboBlocks/2 {
			fn(half, all&^half)
		}
	}
}

// judgeEachRatio computes the ratio of every trial in every half. It is the definition that judgeSplits is held
// against, and takes the trials that judgeSplits does not.
func judgeEachRatio(rows []blockRow) pboResult {
	a, b := make([]float64, len(rows)), make([]float64, len(rows))
	var t splitTally
	eachSplit(func(half, other uint32) {
		ratiosOf(rows, half, a)
		ratiosOf(rows, other, b)
		t.add(a, b)
		t.add(b, a)
	})
	return t.result()
}

// splitTally adds up what the splits show.
type splitTally struct {
	splits, below, losses    float64
	sumX, sumY, sumXX, sumXY float64 // x: the chosen trial's ratio in sample; y: out of sample
}

// add takes one split: the ratios of all trials in sample and out of sample.
func (t *splitTally) add(is, oos []float64) {
	best := argmax(is)
	var below, equal int
	for _, v := range oos {
		if v < oos[best] {
			below++
		} else if v == oos[best] {
			equal++
		}
	}
	t.note(is[best], oos[best], inLowerHalf(below, equal, len(oos)))
}

// inLowerHalf reports whether ω ≤ ½, and with it the logit ln(ω/(1−ω)) ≤ 0, for ω = rank/(N+1) counted
// from the worst with ties halved: the chosen trial is one of the equal.
func inLowerHalf(below, equal, trials int) bool { return 2*below+equal <= trials }

// note takes the chosen trial's ratio in sample and out of sample, and whether it is in the lower half there.
func (t *splitTally) note(x, y float64, lower bool) {
	t.splits++
	if lower {
		t.below++
	}
	if y < 0 {
		t.losses++
	}
	t.sumX, t.sumY, t.sumXX, t.sumXY = t.sumX+x, t.sumY+y, t.sumXX+float64(x*x), t.sumXY+float64(x*y)
}

func (t *splitTally) result() pboResult {
	r := pboResult{pbo: t.below / t.splits, slope: math.NaN(), loss: t.losses / t.splits}
	if spread := float64(t.splits*t.sumXX) - float64(t.sumX*t.sumX); spread > 1e-12*t.splits*t.sumXX {
		r.slope = (float64(t.splits*t.sumXY) - float64(t.sumX*t.sumY)) / spread
	}
	return r
}

// argmax is the position of the largest value; the first of equals.
func argmax(values []float64) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

// ratiosOf writes every trial's ratio over a set of blocks.
func ratiosOf(rows []blockRow, set uint32, out []float64) {
	scale := 1 / periodsOf(&rows[0].counts, set)
	for i := range rows {
		out[i] = rows[i].ratio(set, scale)
	}
}

func periodsOf(counts *[pboBlocks]int, set uint32) float64 {
	periods := 0
	for b, n := range counts {
		periods += n * int(set>>b&1)
	}
	return float64(periods)
}

// ratio is the trial's ratio over a set of blocks; scale is 1 / periods of the set. The order of the sums is part of
// the result: those of the lower eight blocks and those of the upper eight, each from the last block to the first.
func (row *blockRow) ratio(set uint32, scale float64) float64 {
	lowSum, lowSquares := row.sumsOf(set & 0xff)
	highSum, highSquares := row.sumsOf(set &^ 0xff)
	return ratioOf(lowSum+highSum, lowSquares+highSquares, scale)
}

// sumsOf adds the sums of some blocks from the last to the first.
func (row *blockRow) sumsOf(set uint32) (sum, squares float64) {
	for set != 0 {
		b := bits.Len32(set) - 1
		set ^= 1 << b
		sum += row.sums[b&(pboBlocks-1)]
		squares += row.squares[b&(pboBlocks-1)]
	}
	return sum, squares
}

// ratioOf is the per-period Sharpe ratio of returns with these sums; 0 of returns that do not vary.
func ratioOf(sum, squares, scale float64) float64 {
	mean := sum * scale
	variance := float64(squares*scale) - float64(mean*mean)
	if variance <= 1e-24 {
		return 0
	}
	return mean / math.Sqrt(variance)
}
