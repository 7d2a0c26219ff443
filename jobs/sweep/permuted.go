package sweep

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"millrace/jobs/backtest"
)

// The permutation test: the whole search runs again on bars whose order is random within the part that
// selects and within the one out of sample (backtest.Bars.Permuted). What the best trial shows there is
// what such a search finds where nothing can be found, with the drift, gaps and bars of this market. The
// permutations are the last round of the tune, cut into shards as trials are.

// EvidenceSpec asks for evidence that costs more than the search itself.
type EvidenceSpec struct {
	Permutations int `json:"permutations"` // 0: none
}

// Limits on the permutations.
const (
	MinPermutations      = 19 // fewer cannot have a p-value of 0.05
	MaxPermutations      = 1000
	MaxPermutationTrials = 20_000_000    // of all permutations together
	maxPermutationBars   = 1_000_000_000 // trials times bars of one permutation, which one shard runs
)

// PermutedRung is the rung of shards that run permutations, above those of any pruned tune: what a shard
// of a later rung found is dropped with the end of the tune.
const PermutedRung = 1 << 10

// Permutes reports whether the shard runs permutations; Trials then counts those, and First is the first.
func (sh Shard) Permutes() bool { return sh.Rung >= PermutedRung }

// Permutations is how many permutations are asked for.
func (s Spec) Permutations() int {
	if s.Evidence == nil {
		return 0
	}
	return s.Evidence.Permutations
}

func (s Spec) checkEvidence(f *faults) {
	n := s.Permutations()
	const field = "evidence.permutations"
	switch {
	case n == 0:
	case n < MinPermutations || n > MaxPermutations:
		f.add(field, []int{MinPermutations, MaxPermutations}, "must be from %d to %d, or 0 for none", MinPermutations, MaxPermutations)
	case s.Window != nil:
		f.add(field, 0, "do not go with a window, nor with a walk-forward: its folds are judged together")
	case s.IntrabarDataset != "":
		f.add(field, 0, "do not go with intrabar_dataset: permuted bars have no inside")
	}
}

// checkPermutations checks what shows with the bars only.
func (p *Plan) checkPermutations(f *faults) {
	n := p.spec.Permutations()
	if n == 0 {
		return
	}
	const field = "evidence.permutations"
	if most := MaxPermutationTrials / p.Trials(); n > most {
		f.add(field, most, "%d times %d trials are more than %d", n, p.Trials(), MaxPermutationTrials)
	}
	bars := 0
	for _, s := range p.sets {
		bars += s.traded()
		if s.history.HasDetail() {
			f.add(field, 0, "do not go with bars of a lower timeframe: permuted bars have no inside")
		}
		if !slices.Equal(s.history.Time, p.history.Time) {
			f.add("datasets", nil, "%s has bars at other times than %s: permutations need the same, as the datasets move together", s.name, p.name)
		}
	}
	if p.Trials()*bars > maxPermutationBars {
		f.add(field, 0, "%d trials on %d bars are too many to run once more in one piece: at most %d trials", p.Trials(), bars, maxPermutationBars/bars)
	}
}

// searchRounds are the rounds before the permutations.
func (p *Plan) searchRounds() int {
	switch t := p.spec.TPE; {
	case t != nil:
		return 1 + (p.Trials()-p.opening()+*t.Batch-1) / *t.Batch
	case p.prunes():
		return len(p.rungs)
	}
	return 1
}

// permute plans the round of the permutations; none when no trial passed.
func (p *Plan) permute(shards []Shard, load func(shard int) ([]byte, error)) (*Batch, error) {
	batch := &Batch{plan: p, rung: PermutedRung}
	for _, sh := range shards {
		cols, err := p.loadColumns(sh, load)
		if err != nil {
			return nil, err
		}
		if slices.Contains(cols.verdicts, passed) {
			batch.permutations = p.spec.Permutations()
			break
		}
	}
	return batch, nil
}

// cutPermutations cuts the permutations into shards, each of at least one; size counts trials.
func (b *Batch) cutPermutations(firstShard int, size func(left int) int) []Shard {
	var shards []Shard
	each := b.plan.searchWork()
	for from := 0; from < b.permutations; {
		left := b.permutations - from
		n := min(max(int(float64(size(int(math.Ceil(float64(left)*each))))/each), 1), left)
		shards = append(shards, Shard{Index: firstShard + len(shards), First: from, Trials: n, Rung: b.rung, Open: true, Cost: each})
		from += n
	}
	return shards
}

// permuted is the plan on bars of another order, of which each permutation has its own. Datasets are
// permuted alike.
func (p *Plan) permuted(permutation int) (*Plan, error) {
	var data []Series
	for _, s := range p.sets {
		counter := uint64(0)
		draw := func(n int) int {
			counter++
			high, _ := bits.Mul64(draw64(*p.spec.Seed, counter, uint64(permutation)+permutedStream), uint64(n))
			return int(high)
		}
		bars := s.history.Permuted([]backtest.Window{s.is, s.oos}, draw)
		data = append(data, Series{Name: s.name, Bars: bars, Calendar: s.config.Calendar})
	}
	q := &Plan{spec: p.spec, seq: p.seq, names: p.names, bestOnly: true}
	q.spec.Evidence = nil
	var f faults
	if q.bind(data, &f); len(f) == 0 {
		q.placeRungs(&f)
	}
	if len(f) > 0 {
		return nil, f[0]
	}
	return q, nil
}

const permutedStream = 1 << 32 // above the streams of searches

// runPermutations runs the search on each of the shard's permutations and keeps the best scores.
func (p *Plan) runPermutations(ctx context.Context, sh Shard, progress func(done int)) (*ShardResult, error) {
	result := &ShardResult{shard: sh, best: -1}
	for i := range sh.Trials {
		q, err := p.permuted(sh.First + i)
		if err != nil {
			return nil, fmt.Errorf("permutation %d: %w", sh.First+i, err)
		}
		best, err := q.bestOfAll(ctx)
		if err != nil {
			return nil, err
		}
		result.permuted = append(result.permuted, best)
		progress(i + 1)
	}
	return result, nil
}

// bestOfAll runs all rounds on the calling goroutine and returns the best score; −∞ when no trial passes.
func (p *Plan) bestOfAll(ctx context.Context) (float64, error) {
	best := math.Inf(-1)
	var columns [][]byte
	shards := p.Shards(p.opening())
	for round := 1; ; round++ {
		for _, sh := range shards[len(columns):] {
			result, err := p.RunShard(ctx, sh, func(int) {})
			if err != nil {
				return 0, err
			}
			if _, score := result.Best(); score != nil {
				best = max(best, *score)
			}
			var encoded []byte
			if p.Rounds() > 1 {
				if encoded, err = result.columns.encode(); err != nil {
					return 0, err
				}
			}
			columns = append(columns, encoded)
		}
		if round == p.Rounds() {
			return best, nil
		}
		batch, err := p.Next(round, shards, func(shard int) ([]byte, error) { return columns[shard], nil })
		if err != nil {
			return 0, err
		}
		shards = append(shards, batch.Cut(len(shards), func(left int) int { return left })...)
	}
}

// encodePermuted writes the best scores of a shard's permutations.
func encodePermuted(scores []float64) []byte {
	var raw []byte
	for _, score := range scores {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(score))
	}
	return raw
}

func decodePermuted(raw []byte, permutations int) ([]float64, error) {
	if len(raw) != 8*permutations {
		return nil, errors.New("the scores of permutations are cut short")
	}
	scores := make([]float64, permutations)
	for i := range scores {
		scores[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return scores, nil
}

// PermutationFigures are what the search finds on permuted bars.
type PermutationFigures struct {
	Permutations int `json:"permutations"`
	// PValue is (1 + permutations whose best trial scores at least as well) over (1 + permutations).
	PValue float64 `json:"p_value"`
	AsGood int     `json:"as_good"`
	// Median and High are the best score's median on permuted bars, and what 5 % of them exceed; nil where
	// no trial passed.
	Median *float64 `json:"median"`
	High   *float64 `json:"high"`
}

// permutations compares the best score with those of the permutations.
func (w *weighing) permutations(best float64, permuted []float64) {
	if len(permuted) == 0 {
		return
	}
	f := &PermutationFigures{Permutations: len(permuted)}
	for _, score := range permuted {
		if score >= best {
			f.AsGood++
		}
	}
	f.PValue = float64(1+f.AsGood) / float64(1+len(permuted))
	sorted := slices.Sorted(slices.Values(permuted))
	f.Median, f.High = defined(sorted[len(sorted)/2]), defined(sorted[len(sorted)*95/100])
	w.out.Permutation, w.found.Permuted = f, f.PValue
}
