package sweep

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

const (
	// pboBlocks is S: the returns are cut into so many blocks, half of them in sample in each of
	// the C(16,8) = 12,870 splits.
	pboBlocks = 16
	// pboSample is how many trials PBO is computed on; more would not change it visibly.
	pboSample = 1000
	// pboMinPeriods is the least number of returns: four a block.
	pboMinPeriods = 4 * pboBlocks
)

// sampler chooses the trials that PBO is computed on: all of few, else by a hash of the index, so
// that the choice does not depend on shards. It takes some more than needed, so that
// cutSample finds enough.
type sampler struct{ below uint64 }

func newSampler(trials, wanted int) sampler {
	margin := wanted + int(4*math.Sqrt(float64(wanted))) // four standard deviations
	if trials <= margin {
		return sampler{math.MaxUint64}
	}
	return sampler{math.MaxUint64 / uint64(trials) * uint64(margin)}
}

// evidenceSample is how many trials PBO is computed on. In a pruned tune they are those that run on
// all bars only for that, a twentieth.
func (p *Plan) evidenceSample() int {
	if p.prunes() {
		return min(pboSample, max(100, p.Trials()/20))
	}
	return pboSample
}

// blockSampler chooses the trials that PBO is computed on.
func (p *Plan) blockSampler() sampler {
	if p.bestOnly {
		return sampler{}
	}
	return newSampler(p.Trials(), p.evidenceSample())
}

func (s sampler) takes(trial int) bool { return sampleHash(trial) <= s.below }

func sampleHash(trial int) uint64 { return mix64(uint64(trial) + 1) }

// cutSample keeps the rows that PBO is computed on, in order of trial: those that ever traded, and of
// them the wanted ones with the least hashes.
func cutSample(rows []blockRow, wanted int) []blockRow {
	rows = slices.DeleteFunc(rows, func(row blockRow) bool { return row.squares == [pboBlocks]float64{} })
	if len(rows) <= wanted {
		return rows
	}
	slices.SortFunc(rows, func(a, b blockRow) int { return cmp.Compare(sampleHash(a.trial), sampleHash(b.trial)) })
	rows = rows[:wanted]
	slices.SortFunc(rows, func(a, b blockRow) int { return cmp.Compare(a.trial, b.trial) })
	return rows
}

// blockRow holds the sums of one trial's returns and of their squares by block: all that the Sharpe
// ratio of any union of blocks needs.
type blockRow struct {
	trial   int
	periods int
	counts  [pboBlocks]int // of periods
	sums    [pboBlocks]float64
	squares [pboBlocks]float64
}

func newBlockRow(trial int, returns []float64) blockRow {
	row := blockRow{trial: trial}
	row.add(returns)
	return row
}

// add adds the returns of one dataset, cut into blocks of their own: those of several datasets make
// one sample together.
func (row *blockRow) add(returns []float64) {
	row.periods += len(returns)
	for b := range pboBlocks {
		from, to := blockBounds(len(returns), b)
		row.counts[b] += to - from
		for _, r := range returns[from:to] {
			row.sums[b] += r
			row.squares[b] += float64(r * r)
		}
	}
}

func blockBounds(periods, block int) (from, to int) {
	return periods * block / pboBlocks, periods * (block + 1) / pboBlocks
}

const blockRowBytes = 4 + 4 + (4+2*8)*pboBlocks

func appendBlocks(raw []byte, rows []blockRow) []byte {
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(rows)))
	for i := range rows {
		row := &rows[i]
		raw = binary.LittleEndian.AppendUint32(raw, uint32(row.trial))
		raw = binary.LittleEndian.AppendUint32(raw, uint32(row.periods))
		for b := range pboBlocks {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(row.counts[b]))
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(row.sums[b]))
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(row.squares[b]))
		}
	}
	return raw
}

// decodeBlocks reads what appendBlocks wrote, and returns what follows it.
func decodeBlocks(raw []byte) (rows []blockRow, rest []byte, err error) {
	if len(raw) < 4 || (len(raw)-4)/blockRowBytes < int(binary.LittleEndian.Uint32(raw)) {
		return nil, nil, errors.New("block sums are cut short")
	}
	rows = make([]blockRow, binary.LittleEndian.Uint32(raw))
	raw = raw[4:]
	for i := range rows {
		rows[i].trial = int(binary.LittleEndian.Uint32(raw))
		rows[i].periods = int(binary.LittleEndian.Uint32(raw[4:]))
		raw = raw[8:]
		for b := range pboBlocks {
			rows[i].counts[b] = int(binary.LittleEndian.Uint32(raw))
			rows[i].sums[b] = math.Float64frombits(binary.LittleEndian.Uint64(raw[4:]))
			rows[i].squares[b] = math.Float64frombits(binary.LittleEndian.Uint64(raw[12:]))
			raw = raw[20:]
		}
	}
	return rows, raw, nil
}

// pboResult is what cross-validation found.
type pboResult struct{ pbo, slope, loss float64 }

// crossValidate is CSCV over the block sums of at least two trials. Each split's in-sample half is
// another's out-of-sample half, so the Sharpe ratios of a half are computed for both at once; and the
// sums of a half are looked up as those of its lower eight blocks plus those of its upper eight.
func crossValidate(rows []blockRow) (result pboResult, missing string) {
	if len(rows) < 2 {
		return pboResult{}, "fewer than two trials traded"
	}
	if periods := rows[0].periods; periods < pboMinPeriods {
		return pboResult{}, fmt.Sprintf("%d return periods are fewer than %d", periods, pboMinPeriods)
	}
	halves := newHalfSums(rows)
	a, b := make([]float64, len(rows)), make([]float64, len(rows))
	var t splitTally
	const all = 1<<pboBlocks - 1
	for half := uint32(0); half < 1<<(pboBlocks-1); half++ { // the top block is out of sample here
		if bits.OnesCount32(half) != pboBlocks/2 {
			continue
		}
		halves.sharpe(half, a)
		halves.sharpe(all&^half, b)
		t.add(a, b)
		t.add(b, a)
	}
	return t.result(), ""
}

// splitTally adds up what the splits show.
type splitTally struct {
	splits, below, losses    float64
	sumX, sumY, sumXX, sumXY float64 // x: the chosen trial's ratio in sample; y: out of sample
}

// add takes one split: the ratios of all trials in sample and out of sample.
func (t *splitTally) add(is, oos []float64) {
	best := argmax(is)
	// ω = rank/(N+1) counted from the worst, ties halved; the logit ln(ω/(1−ω)) is ≤ 0 when ω ≤ ½.
	rank := 0.5
	for _, v := range oos {
		if v < oos[best] {
			rank++
		} else if v == oos[best] {
			rank += 0.5
		}
	}
	t.splits++
	if 2*rank <= float64(len(oos)+1) {
		t.below++
	}
	if oos[best] < 0 {
		t.losses++
	}
	x, y := is[best], oos[best]
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

// halfSums holds, for each subset of the lower and of the upper eight blocks, every trial's sums.
type halfSums struct {
	n       int
	sums    [2][256][]float64
	squares [2][256][]float64
	periods [pboBlocks]float64
}

func newHalfSums(rows []blockRow) *halfSums {
	h := &halfSums{n: len(rows)}
	for b := range pboBlocks {
		h.periods[b] = float64(rows[0].counts[b])
	}
	for side := range 2 {
		h.sums[side][0], h.squares[side][0] = make([]float64, h.n), make([]float64, h.n)
		for set := 1; set < 256; set++ {
			low := bits.TrailingZeros(uint(set))
			rest, block := set&(set-1), side*8+low
			sums, squares := make([]float64, h.n), make([]float64, h.n)
			for i := range rows {
				sums[i] = h.sums[side][rest][i] + rows[i].sums[block]
				squares[i] = h.squares[side][rest][i] + rows[i].squares[block]
			}
			h.sums[side][set], h.squares[side][set] = sums, squares
		}
	}
	return h
}

// sharpe writes every trial's per-period Sharpe ratio over a set of blocks; a trial whose returns
// do not vary there has 0.
func (h *halfSums) sharpe(set uint32, out []float64) {
	var periods float64
	for b := range pboBlocks {
		if set>>b&1 == 1 {
			periods += h.periods[b]
		}
	}
	low, high := set&0xff, set>>8
	s0, s1 := h.sums[0][low][:h.n], h.sums[1][high][:h.n]
	q0, q1 := h.squares[0][low][:h.n], h.squares[1][high][:h.n]
	scale := 1 / periods
	for i := range out[:h.n] {
		mean := (s0[i] + s1[i]) * scale
		variance := float64((q0[i]+q1[i])*scale) - float64(mean*mean)
		if variance <= 1e-24 {
			out[i] = 0
			continue
		}
		out[i] = mean / math.Sqrt(variance)
	}
}
