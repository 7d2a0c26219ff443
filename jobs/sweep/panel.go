package sweep

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
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
// first close to the last. Nil where the datasets differ in their number of periods.
func (p *Plan) held(outOfSample bool) []float64 {
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
	if raw = raw[8:]; len(raw) != n*(4+4*periods) {
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
func cutPanel(rows []panelRow, wanted int) *evidence.Panel {
	slices.SortFunc(rows, func(a, b panelRow) int { return cmp.Compare(sampleHash(a.trial), sampleHash(b.trial)) })
	rows = rows[:min(len(rows), wanted)]
	slices.SortFunc(rows, func(a, b panelRow) int { return cmp.Compare(a.trial, b.trial) })
	out := &evidence.Panel{}
	for _, row := range rows {
		out.Trials, out.Returns = append(out.Trials, row.trial), append(out.Returns, row.values())
	}
	return out
}
