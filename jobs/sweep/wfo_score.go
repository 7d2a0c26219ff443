package sweep

import (
	"context"
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"time"

	"millrace/jobs/backtest"
)

// Candidates are the parameter sets in any fold's top, each once, in order of their values.
func Candidates(tops [][]backtest.Params) []backtest.Params {
	var all []backtest.Params
	for _, top := range tops {
		all = append(all, top...)
	}
	slices.SortFunc(all, slices.Compare[backtest.Params])
	return slices.CompactFunc(all, slices.Equal[backtest.Params])
}

// ScoreCandidates is the objective of each candidate on the plan's out-of-sample part, NaN where it
// is undefined. One that the tune ran as a trial was scored then; trials yields what is stored of
// them, and may stop short. The others are run now.
func (p *Plan) ScoreCandidates(ctx context.Context, candidates []backtest.Params, trials iter.Seq2[*Columns, error]) ([]float64, error) {
	scores, missing, err := p.storedScores(candidates, trials)
	if err != nil {
		return nil, err
	}
	own := p.scratch()
	stop := func() bool { return ctx.Err() != nil }
	renew := func() {
		for i, s := range p.sets {
			own.runners[i] = s.newRunner()
			own.runners[i].OnStop(stop)
		}
	}
	traded := 0
	for i, s := range p.sets {
		own.runners[i].OnStop(stop)
		traded += s.bars.Len()
	}
	defer func() { p.clear(own) }()
	bars := barsBetweenChecks
	for _, i := range missing {
		if bars += traded; bars >= barsBetweenChecks {
			bars = 0
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		var ok bool
		if scores[i], ok = p.scoreOne(own, candidates[i]); !ok {
			renew()
		}
	}
	return scores, ctx.Err()
}

// storedScores finds the candidates among the trials; missing are the places of those not there.
func (p *Plan) storedScores(candidates []backtest.Params, trials iter.Seq2[*Columns, error]) (scores []float64, missing []int, err error) {
	scores = make([]float64, len(candidates))
	places := make(map[string]int, len(candidates))
	var key []byte
	for i, params := range candidates {
		scores[i] = math.NaN()
		key = appendKey(key[:0], params)
		places[string(key)] = i
	}
	point := make(backtest.Params, len(p.names))
	for part, err := range trials {
		if err != nil {
			return nil, nil, err
		}
		_, oos := part.Scores()
		for row := range part.Len() {
			part.cols.point(row, point)
			key = appendKey(key[:0], point)
			if i, wanted := places[string(key)]; wanted {
				// One without a score may have been given up, or pruned on few bars of the training
				// window: it is run to be sure.
				if isFinite(oos[row]) {
					scores[i] = oos[row]
					delete(places, string(key))
				}
			}
		}
		if len(places) == 0 {
			break
		}
	}
	for _, i := range places {
		missing = append(missing, i)
	}
	slices.Sort(missing)
	return scores, missing, nil
}

func appendKey(key []byte, params backtest.Params) []byte {
	for _, v := range params {
		key = binary.LittleEndian.AppendUint64(key, math.Float64bits(v))
	}
	return key
}

// scoreOne backtests one parameter set out of sample. ok is false when the strategy panicked, which
// leaves the score undefined and the runners unusable.
func (p *Plan) scoreOne(own *scratch, params backtest.Params) (score float64, ok bool) {
	defer func() {
		if recover() != nil {
			score, ok = math.NaN(), false
		}
	}()
	for i, s := range p.sets {
		own.runners[i].Prepare(params)
		own.runners[i].Simulate(s.oos, &own.oos[i])
	}
	if score = p.score(own.oos, own); !isFinite(score) || own.err() != nil {
		score = math.NaN()
	}
	return score, true
}

// Stretch is what a fold adds to the stitched out-of-sample curve: its winner traded on the bars
// from the end of training to the beginning of the next fold's test window.
type Stretch struct {
	From   int       `json:"from"`   // first bar, in the dataset
	Growth []float64 `json:"growth"` // at each bar's close, of one unit of cash
	Trades int       `json:"trades"`

	Others []Stretch `json:"others,omitempty"` // on the second and the further datasets
}

// of is the stretch on a dataset.
func (s *Stretch) of(dataset int) *Stretch {
	if dataset == 0 {
		return s
	}
	return &s.Others[dataset-1]
}

// Stretch trades the parameters out of sample on every dataset, until the given time at the latest. A nil
// params stays in cash.
func (p *Plan) Stretch(params backtest.Params, until time.Time) Stretch {
	first := p.sets[0].stretch(params, until)
	for _, s := range p.sets[1:] {
		first.Others = append(first.Others, s.stretch(params, until))
	}
	return first
}

func (s *series) stretch(params backtest.Params, until time.Time) Stretch {
	w := backtest.Window{From: s.oos.From, To: min(s.oos.To, barAt(s.bars, until))}
	out := Stretch{From: s.offset + w.From, Growth: make([]float64, max(0, w.Len()))}
	if params == nil {
		for i := range out.Growth {
			out.Growth[i] = 1
		}
		return out
	}
	runner := s.runner()
	defer func() { s.runners.Put(runner) }()
	runner.Prepare(params)
	trades, equity := runner.Trace(w)
	out.Trades = len(trades)
	for i := range out.Growth {
		out.Growth[i] = 1
		if runner.Err() == nil {
			out.Growth[i] = equity[i] / s.config.Account.Cash
		}
	}
	return out
}

// Vector puts named parameters into the strategy's order.
func (p *Plan) Vector(params map[string]float64) backtest.Params {
	point := make(backtest.Params, len(p.names))
	for i, name := range p.names {
		point[i] = params[name]
	}
	return point
}

// Named is the inverse of Vector.
func (p *Plan) Named(params backtest.Params) map[string]float64 { return named(p.names, params) }
