package sweep

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
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
	margin := atMost(wanted)
	if trials <= margin {
		return sampler{math.MaxUint64}
	}
	return sampler{math.MaxUint64 / uint64(trials) * uint64(margin)}
}

// atMost is about how many trials a sampler takes of which so many are wanted.
func atMost(wanted int) int {
	return wanted + int(4*math.Sqrt(float64(wanted))) // four standard deviations
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
	// Rows are large, so that they are not sorted by their hashes; and most often they are in order.
	hashes := make([]uint64, len(rows))
	for i := range rows {
		hashes[i] = sampleHash(rows[i].trial)
	}
	slices.Sort(hashes)
	rows = slices.DeleteFunc(rows, func(row blockRow) bool { return sampleHash(row.trial) > hashes[wanted-1] })
	byTrial := func(a, b blockRow) int { return cmp.Compare(a.trial, b.trial) }
	if !slices.IsSortedFunc(rows, byTrial) {
		slices.SortFunc(rows, byTrial)
	}
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
		sum, squares := row.sums[b], row.squares[b]
		for _, r := range returns[from:to] {
			sum += r
			squares += float64(r * r)
		}
		row.sums[b], row.squares[b] = sum, squares
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
