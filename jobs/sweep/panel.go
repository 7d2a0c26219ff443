package sweep

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// The returns of some trials are kept until the tune is collected: the same ones however the trials
// are sharded, and of long histories fewer, so that all of them take 4 MiB at most.
const (
	panelValues = 1 << 20
	panelLeast  = 50
	panelMost   = 500
)

// panelRow are the per-period returns of one trial on the part that selects, abridged to a float32's
// precision; those of several datasets are averaged period by period.
type panelRow struct {
	trial   int
	returns []float32
	uneven  bool // the datasets differ in their number of periods
}

func (row *panelRow) add(returns []float64, datasets int) {
	if row.returns == nil {
		row.returns = make([]float32, len(returns))
	}
	if row.uneven = row.uneven || len(returns) != len(row.returns); row.uneven {
		return
	}
	if datasets == 1 {
		for i, r := range returns {
			row.returns[i] = 0 + float32(r)
		}
		return
	}
	for i, r := range returns {
		row.returns[i] += float32(r / float64(datasets))
	}
}

// keptSample is what a shard keeps of the trials that the evidence looks at.
type keptSample struct {
	blocks []blockRow
	panel  []panelRow
	keeps  sampler // of panel; off for the folds of a walk-forward
}

// add adds one trial.
func (s *keptSample) add(blocks blockRow, row panelRow) {
	s.blocks = append(s.blocks, blocks)
	if len(row.returns) > 0 && !row.uneven && s.keeps.takes(row.trial) {
		s.panel = append(s.panel, row)
	}
}

// panelSampler chooses the trials whose returns are kept.
func (p *Plan) panelSampler() sampler {
	if !p.weighs() || p.bestOnly {
		return sampler{}
	}
	return newSampler(p.Trials(), p.panelSize())
}

// makesPanelAgain reports whether shards store no returns of trials: the few that the evidence looks at run again when the tune is
// collected, which takes a hundredth of the tune at most and less than to store and read what they returned. Those of a script take
// longer, and of a pruned tune no others ran on all bars.
func (p *Plan) makesPanelAgain() bool {
	_, script := p.strategy.(backtest.Scripted)
	rows := p.panelSize() // none where the datasets differ in their number of periods
	return p.weighs() && !p.bestOnly && !p.prunes() && !script && rows > 0 && p.Trials() >= 100*atMost(rows)
}

// panelOf are the returns of the trials that the evidence looks at. Those that are not there are made again.
func (p *Plan) panelOf(all *gathered) ([]panelRow, error) {
	if !p.makesPanelAgain() {
		return all.panel, nil
	}
	known := make(map[int]panelRow, len(all.panel))
	for _, row := range all.panel {
		known[row.trial] = row
	}
	var wanted []int
	for trial, keeps := 0, p.panelSampler(); trial < all.cols.len(); trial++ {
		if keeps.takes(trial) && all.cols.verdicts[trial] != panicked {
			wanted = append(wanted, trial)
		}
	}
	slices.SortFunc(wanted, func(a, b int) int { return cmp.Compare(sampleHash(a), sampleHash(b)) })
	scratch, rows, most := p.scratch(), []panelRow(nil), p.panelSize()
	defer p.clear(scratch)
	point := make(backtest.Params, len(p.names))
	for _, trial := range wanted {
		if len(rows) == most {
			break
		}
		if row, ok := known[trial]; ok {
			rows = append(rows, row)
			continue
		}
		m, made := fullMetrics{trial: trial}, keptSample{keeps: p.panelSampler()}
		all.cols.point(trial, point)
		p.simulate(scratch, point, &m, &made)
		if err := p.sameScore(trial, scratch, all.cols.scores[0][trial]); err != nil {
			return nil, err
		}
		rows = append(rows, made.panel...)
	}
	return rows, nil
}

func (p *Plan) panelSize() int {
	periods := len(p.held(false))
	if periods == 0 {
		return 0
	}
	return min(panelMost, max(panelLeast, panelValues/periods), p.evidenceSample())
}

// weighs reports whether the tune gets a verdict. The folds of a walk-forward do not: what they choose
// is judged together.
func (p *Plan) weighs() bool { return p.spec.Window == nil }

// held are the per-period returns of buy-and-hold on the part that selects, or out of sample: from the
// first close to the last. Nil where the datasets differ in their number of periods. They are read only.
func (p *Plan) held(outOfSample bool) []float64 {
	if outOfSample {
		return p.holds(true)
	}
	p.heldOnce.Do(func() { p.heldThere = p.holds(false) })
	return p.heldThere
}

func (p *Plan) holds(outOfSample bool) []float64 {
	var all panel64
	for _, s := range p.sets {
		w := s.part(&p.spec, outOfSample)
		if w.Len() == 0 {
			return nil
		}
		closes := s.bars.Close[w.From:w.To]
		all.add(s.bars.AppendReturns(nil, w, closes[0], closes), len(p.sets))
	}
	return all.returns()
}

// part is the part that selects, or the one out of sample.
func (s *series) part(spec *Spec, outOfSample bool) backtest.Window {
	if outOfSample {
		return s.oos
	}
	return s.selecting(spec)
}

// panel64 averages the returns of datasets, period by period.
type panel64 struct {
	sum    []float64
	uneven bool
}

func (a *panel64) add(returns []float64, datasets int) {
	if a.sum == nil {
		a.sum = make([]float64, len(returns))
	}
	if a.uneven = a.uneven || len(returns) != len(a.sum); a.uneven {
		return
	}
	for i, r := range returns {
		a.sum[i] += r / float64(datasets)
	}
}

func (a *panel64) returns() []float64 {
	if a.uneven {
		return nil
	}
	return a.sum
}

// returnsOf backtests one parameter set on a part of every dataset. Nil where the datasets differ in
// their number of periods.
func (p *Plan) returnsOf(traders []backtest.Trader, params backtest.Params, outOfSample bool) ([]float64, error) {
	var all panel64
	var m backtest.Metrics
	for i, s := range p.sets {
		traders[i].Prepare(params)
		traders[i].KeepReturns(true)
		traders[i].Simulate(s.part(&p.spec, outOfSample), &m)
		if err := traders[i].Err(); err != nil {
			return nil, err
		}
		all.add(traders[i].Returns(), len(p.sets))
	}
	return all.returns(), nil
}

// values are the returns.
func (row *panelRow) values() []float64 {
	values := make([]float64, len(row.returns))
	for i, r := range row.returns {
		values[i] = float64(r)
	}
	return values
}

// madeAgain stands for the number of rows where they are not stored. A worker of before, which takes what is stored for all there
// is, reads that as rows that are cut short, and leaves the tune to be collected by another.
const madeAgain = math.MaxUint32

func appendPanel(raw []byte, rows []panelRow) []byte {
	if len(rows) == 0 {
		return raw
	}
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(rows)))
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(rows[0].returns)))
	for _, row := range rows {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(row.trial))
		for _, r := range row.returns {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(r))
		}
	}
	return raw
}

// decodePanel reads what appendPanel wrote. There is nothing to read of a shard that an older version ran.
func decodePanel(raw []byte) ([]panelRow, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	cut := errors.New("returns are cut short")
	if len(raw) < 8 {
		return nil, cut
	}
	n, periods := int(binary.LittleEndian.Uint32(raw)), int(binary.LittleEndian.Uint32(raw[4:]))
	if raw = raw[8:]; n == madeAgain && len(raw) == 0 {
		return nil, nil
	}
	if len(raw) != n*(4+4*periods) {
		return nil, cut
	}
	rows := make([]panelRow, n)
	for i := range rows {
		rows[i] = panelRow{trial: int(binary.LittleEndian.Uint32(raw)), returns: make([]float32, periods)}
		raw = raw[4:]
		for k := range rows[i].returns {
			rows[i].returns[k] = math.Float32frombits(binary.LittleEndian.Uint32(raw))
			raw = raw[4:]
		}
	}
	return rows, nil
}

// cutPanel keeps the wanted rows with the least hashes, in order of trial.
func cutPanel(rows []panelRow, wanted int) []panelRow {
	slices.SortFunc(rows, func(a, b panelRow) int { return cmp.Compare(sampleHash(a.trial), sampleHash(b.trial)) })
	rows = rows[:min(len(rows), wanted)]
	slices.SortFunc(rows, func(a, b panelRow) int { return cmp.Compare(a.trial, b.trial) })
	return rows
}
