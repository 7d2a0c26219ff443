package sweep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"millrace/jobs/backtest"
)

// gathered is everything the shards found, in trial order.
type gathered struct {
	cols   *columns
	ratios []float64
	rungs  []uint8       // the last one that each trial ran in
	tops   [][]byte      // full metrics as the shards kept them; read once the leaders are known
	full   []fullMetrics // those that were not encoded
	blocks []blockRow
	panel  []panelRow
	// permuted are the best scores of the permutations, in order
	permuted []float64
	ranking  []int32
	kept     *Kept
}

// selection is the score that a trial is ranked by.
func (g *gathered) selection(p *Plan, trial int) float64 {
	return p.spec.selection(g.cols.scores[0][trial], g.cols.scores[1][trial])
}

func gather(p *Plan, shards []Shard, kept *Kept, load func(int) ([]byte, []byte, []byte, error)) (*gathered, error) {
	all, own := kept.take(shards)
	if all == nil {
		cols := newColumns(len(p.names), p.Trials())
		all = &gathered{cols: &cols, ratios: make([]float64, 0, p.Trials())}
	}
	all.kept = kept
	for _, sh := range shards {
		if sh.Rung == 0 && sh.First != all.cols.len() {
			return nil, fmt.Errorf("shard %d begins at trial %d, not at %d", sh.Index, sh.First, all.cols.len())
		}
		if r, ok := own[sh.Index]; ok {
			all.take(r)
			continue
		}
		columns, top, stats, err := load(sh.Index)
		if err != nil {
			return nil, err
		}
		if sh.Permutes() {
			scores, err := decodePermuted(columns, sh.Trials)
			if err != nil {
				return nil, fmt.Errorf("shard %d: %w", sh.Index, err)
			}
			all.permuted = append(all.permuted, scores...)
			continue
		}
		if err := all.add(p, sh, columns, top, stats); err != nil {
			return nil, fmt.Errorf("shard %d: %w", sh.Index, err)
		}
	}
	if n := all.cols.len(); n != p.Trials() {
		return nil, fmt.Errorf("%d trials were run of %d", n, p.Trials())
	}
	all.full = kept.metrics()
	all.prune(p)
	return all, nil
}

// take adds what this process found itself, whose rows are there behind those so far.
func (g *gathered) take(r keptShard) {
	n := g.cols.len() + r.Trials
	g.cols.extend(n)
	g.ratios = g.ratios[:n]
	g.blocks, g.panel = append(g.blocks, r.sample.blocks...), append(g.panel, r.sample.panel...)
}

// prune ends the trials of a pruned tune that did not come to the last rung.
func (g *gathered) prune(p *Plan) {
	if !p.prunes() {
		return
	}
	for i, v := range g.cols.verdicts {
		if v == screened {
			g.cols.verdicts[i] = prunedFirst + verdict(g.rungs[i])
		}
	}
}

func (g *gathered) add(p *Plan, sh Shard, columns, top, stats []byte) error {
	raw, err := openPlanes(columns, len(p.names), sh.Trials)
	if err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	if len(top) < 4 || len(top) != 4+fullBytes*int(binary.LittleEndian.Uint32(top)) {
		return errors.New("full metrics are cut short")
	}
	g.tops = append(g.tops, top[4:])
	if sh.Rung > 0 {
		return g.overlay(p, sh, readPlanes(raw, len(p.names), sh.Trials))
	}
	g.cols.appendPlanes(raw, sh.Trials)
	if p.prunes() {
		g.rungs = append(g.rungs, make([]uint8, sh.Trials)...)
	}
	if len(stats) < 8*sh.Trials {
		return errors.New("ratios are cut short")
	}
	for range sh.Trials {
		g.ratios = append(g.ratios, math.Float64frombits(binary.LittleEndian.Uint64(stats)))
		stats = stats[8:]
	}
	blocks, rest, err := decodeBlocks(stats)
	if err != nil {
		return err
	}
	g.blocks = append(g.blocks, blocks...)
	rows, err := decodePanel(rest)
	g.panel = append(g.panel, rows...)
	return err
}

// overlay puts the rows of a later rung in the place of those of the rungs before it.
func (g *gathered) overlay(p *Plan, sh Shard, part *columns) error {
	numbers, err := sh.numbers(len(p.names))
	if err != nil {
		return err
	}
	for row, number := range numbers {
		if int(number) >= g.cols.len() {
			return errLost
		}
		g.cols.replace(int(number), part, row)
		g.rungs[number] = uint8(sh.Rung)
	}
	return nil
}

// countRungs says how many trials ran in each rung, and how many ended there.
func (g *gathered) countRungs(p *Plan) []Rung {
	rungs := make([]Rung, len(p.rungs))
	for r := range rungs {
		rungs[r].Bars = p.rungs[r].bars
	}
	for i, last := range g.rungs {
		for r := range rungs[:last+1] {
			rungs[r].Trials++
		}
		if r, ok := g.cols.verdicts[i].pruned(); ok {
			rungs[r].Pruned++
		}
	}
	return rungs
}

// fullBytes is the length of one trial's full metrics as Encode keeps them.
const fullBytes = 4 + 2*backtest.MetricsBytes

// leaderMetrics reads the full metrics of the given trials; some may not have been kept.
func (g *gathered) leaderMetrics(trials []int32) (map[int]fullMetrics, error) {
	wanted := make(map[int]bool, len(trials))
	for _, trial := range trials {
		wanted[int(trial)] = true
	}
	found := make(map[int]fullMetrics, len(trials))
	for i := range g.full {
		if trial := g.full[i].trial; wanted[trial] {
			found[trial] = g.full[i]
		}
	}
	for _, raw := range g.tops {
		for ; len(raw) > 0; raw = raw[fullBytes:] {
			m := fullMetrics{trial: int(binary.LittleEndian.Uint32(raw))}
			if !wanted[m.trial] {
				continue
			}
			var err error
			rest := raw[4:]
			if m.is, rest, err = backtest.DecodeMetrics(rest); err != nil {
				return nil, fmt.Errorf("full metrics: %w", err)
			}
			if m.outOf, _, err = backtest.DecodeMetrics(rest); err != nil {
				return nil, fmt.Errorf("full metrics: %w", err)
			}
			found[m.trial] = m
		}
	}
	return found, nil
}

// rank orders the trials: completed ones by score, ties by parameters and then by index; then the
// skipped and at last the failed ones by index.
func (g *gathered) rank(p *Plan, counts *Counts) {
	g.ranking = make([]int32, 0, g.cols.len())
	for _, status := range []Status{StatusCompleted, StatusSkipped, StatusFailed} {
		for i, v := range g.cols.verdicts {
			if v.status() == status {
				g.ranking = append(g.ranking, int32(i))
			}
		}
	}
	g.cols.sort(p.spec, g.ranking[:counts.Completed])
}
