package sweep

import (
	"iter"
	"slices"

	"millrace/jobs/backtest"
)

// lanes run the trials of a shard whose strategy gives signals, several side by side. They take a block of trials and run it
// in an order in which neighbours share indicator arrays; results are added in the order of the trials.
type lanes struct {
	lanes  [backtest.Lanes]lane
	size   int // of a block
	block  []pending
	kept   []fullMetrics // of trials of the block
	sample []trialSample // likewise
	params []float64     // of the block, one trial after the other
	order  []uint64      // trials of the block in the order in which they are run, in the lowest bits
}

// lane is what runs one of the trials side by side.
type lane struct {
	*scratch
	params backtest.Params
	sample trialSample
	m      fullMetrics
}

// pending is a trial of a block, and what is kept of it once it has run.
type pending struct {
	trial  int
	alone  bool // a trial beside it panicked: it is run on its own
	row    trialRow
	ratio  float64
	m      int32 // its place in kept, unless -1: the leaderboard may need it
	sample int32 // its place in sample, unless -1: the evidence looks at it
}

const (
	// blockBars is about how many bars the trials of a block have, and blockTrials how many there are at most, so that
	// their numbers fit in the order's lowest bits.
	blockBars   = 1 << 26
	blockTrials = 1 << 14
	// sharedBytes is how much of the second cache is for arrays that the trials of a block share.
	sharedBytes = 1 << 19
)

// newLanes makes lanes, or nil where trials have to run one by one: those of scripts, and of a rung that is not the last.
func (r *shardRun) newLanes() *lanes {
	for _, trader := range r.scratch.runners {
		if _, ok := trader.(*backtest.Runner); !ok || r.result.shard.Open {
			return nil
		}
	}
	size := max(backtest.Lanes, min(blockTrials, blockBars/max(1, r.plan.TrialBars())))
	l, ok := r.plan.idle.Get().(*lanes)
	if !ok {
		l = &lanes{size: size}
	}
	room := min(size, r.result.shard.Trials)
	l.block, l.params, l.order = slices.Grow(l.block, room), slices.Grow(l.params, room*len(r.plan.names)), slices.Grow(l.order, room)
	if r.plan.keepsMetrics() {
		l.kept = slices.Grow(l.kept, room)
	}
	l.renew(r.plan)
	return l
}

// renew gives every lane runners of its own.
func (l *lanes) renew(p *Plan) {
	for i := range l.lanes {
		l.lanes[i].scratch = p.scratch()
	}
}

func (l *lanes) clear(p *Plan) {
	for i := range l.lanes {
		p.clear(l.lanes[i].scratch)
		l.lanes[i] = lane{}
	}
	p.idle.Put(l)
}

// empty makes room for the next block.
func (l *lanes) empty() {
	clear(l.sample)
	l.block, l.params, l.kept, l.sample = l.block[:0], l.params[:0], l.kept[:0], l.sample[:0]
}

// take takes a trial, and reports whether the block is full.
func (l *lanes) take(trial int, params backtest.Params) bool {
	l.block, l.params = append(l.block, pending{trial: trial, m: -1, sample: -1}), append(l.params, params...)
	return len(l.block) == l.size
}

// point are the parameters of the i-th trial of the block.
func (l *lanes) point(i int) backtest.Params {
	n := len(l.params) / len(l.block)
	return l.params[i*n : (i+1)*n]
}

// points are the parameters of the block's trials.
func (l *lanes) points() iter.Seq[backtest.Params] {
	return func(yield func(backtest.Params) bool) {
		for i := range l.block {
			if !yield(l.point(i)) {
				return
			}
		}
	}
}

// schedule orders the block. In a grid the last parameter changes from trial to trial and the others seldom, so that each
// trial reads an array that no other reads soon. Of strategies on two periods, trials with few values of the first are run
// together, ordered by the second: the arrays of the first stay in the cache, and those of the second are read once.
func (l *lanes) schedule(p *Plan) []uint64 {
	l.order = l.order[:0]
	specs := p.strategy.Params()
	twoPeriods := len(specs) == 2 && specs[0].Kind == backtest.KindInt && specs[1].Kind == backtest.KindInt
	group, values := uint64(0), 0
	for i := range l.block {
		var second uint64
		if twoPeriods {
			point := l.point(i)
			if i > 0 && point[0] != l.point(i - 1)[0] {
				if values++; 8*values*p.bars.Len() >= sharedBytes {
					group, values = group+1, 0
				}
			}
			second = uint64(point[1])
		}
		l.order = append(l.order, group<<48|second<<16|uint64(i))
	}
	slices.Sort(l.order)
	return l.order
}

// together runs the block, unless it is stopped, and adds it to the result. If any of the trials that run side by side
// panics, each of these is run alone.
func (r *shardRun) together(progress func(done int)) {
	l := r.lanes
	defer l.empty()
	for _, trader := range l.lanes[0].runners {
		trader.(*backtest.Runner).Expect(l.points())
	}
	before, ran, bars := r.result.columns.len(), 0, 0
	for group := range slices.Chunk(l.schedule(r.plan), backtest.Lanes) {
		if bars += len(group) * r.plan.TrialBars(); bars >= barsBetweenChecks {
			if bars = 0; r.stop() {
				return
			}
		}
		r.runGroup(group)
		ran += len(group)
		progress(before + ran)
	}
	for i := range l.block {
		r.add(&l.block[i], l.point(i))
	}
}

// runGroup runs trials of the block side by side.
func (r *shardRun) runGroup(group []uint64) {
	p, l := r.plan, r.lanes
	lanes := l.lanes[:len(group)]
	for k, at := range group {
		i := int(at & (blockTrials - 1))
		lanes[k].m, lanes[k].params = fullMetrics{trial: l.block[i].trial}, l.point(i)
	}
	ok := r.simulateTogether(lanes)
	for k, at := range group {
		b, lane := &l.block[at&(blockTrials-1)], &lanes[k]
		if !ok {
			b.alone = true
			continue
		}
		p.aggregateParts(lane.scratch, &lane.m)
		p.fill(&b.row, &lane.m, lane.scratch)
		b.ratio = p.spec.selection(lane.m.is.SR, lane.m.outOf.SR)
		if b.row.verdict == passed && r.mayLead(p.spec.selection(b.row.scoreIS, b.row.scoreOOS)) {
			b.m, l.kept = int32(len(l.kept)), append(l.kept, lane.m)
		}
		if lane.sample.wanted {
			b.sample, l.sample = int32(len(l.sample)), append(l.sample, lane.sample)
		}
	}
	if !ok {
		l.renew(p) // the state of those after a panic is unknown
	}
}

// add adds a trial of the block to the result.
func (r *shardRun) add(b *pending, params backtest.Params) {
	if b.alone {
		r.trial(b.trial, params)
		return
	}
	if b.sample >= 0 {
		sample := &r.lanes.sample[b.sample]
		r.result.sample.add(sample.blocks, sample.returns)
	}
	r.m, r.ran = fullMetrics{trial: b.trial}, true
	if b.m >= 0 {
		r.m = r.lanes.kept[b.m]
	}
	r.row, r.ratio = b.row, b.ratio
	r.record(params)
}

// simulateTogether is Plan.simulate of all lanes. It reports whether the strategy came through.
func (r *shardRun) simulateTogether(lanes []lane) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for i := range lanes {
		lanes[i].sample = trialSample{}
		if trial := lanes[i].m.trial; r.sampler.takes(trial) && r.result.shard.Rung == 0 {
			lanes[i].sample = r.result.sample.ofTrial(trial)
		}
	}
	var runners [backtest.Lanes]*backtest.Runner
	var params [backtest.Lanes]backtest.Params
	var metrics [backtest.Lanes]*backtest.Metrics
	for i, s := range r.plan.sets {
		for k := range lanes {
			runners[k], params[k] = lanes[k].runners[i].(*backtest.Runner), lanes[k].params
		}
		backtest.PrepareTogether(runners[:len(lanes)], params[:])
		r.plan.eachPart(s, func(w backtest.Window, outOfSample, selects bool) {
			for k := range lanes {
				runners[k].KeepReturns(lanes[k].sample.wanted && selects)
				metrics[k] = lanes[k].part(i, outOfSample)
			}
			backtest.SimulateTogether(runners[:len(lanes)], w, metrics[:len(lanes)])
			for k := range lanes {
				lanes[k].sample.add(r.plan, runners[k], selects)
			}
		})
	}
	return true
}
