package sweep

import (
	"millrace/jobs/backtest"
)

// lanes are the next trials of a shard whose strategy gives signals: they are run side by side.
type lanes struct {
	lanes [backtest.Lanes]lane
	taken int
}

// lane is one of them.
type lane struct {
	*scratch
	params backtest.Params
	sample trialSample
	m      fullMetrics
}

// newLanes makes lanes, or nil where trials have to run one by one: those of scripts, and of a rung that is not the last.
func (r *shardRun) newLanes() *lanes {
	for _, trader := range r.scratch.runners {
		if _, ok := trader.(*backtest.Runner); !ok || r.result.shard.Open {
			return nil
		}
	}
	l := &lanes{}
	for i := range l.lanes {
		l.lanes[i].scratch = r.plan.scratch()
	}
	return l
}

func (l *lanes) clear(p *Plan) {
	for i := range l.lanes {
		p.clear(l.lanes[i].scratch)
	}
}

// take takes a trial, and reports whether the lanes are full.
func (l *lanes) take(trial int, params backtest.Params) bool {
	lane := &l.lanes[l.taken]
	lane.m, lane.params = fullMetrics{trial: trial}, append(lane.params[:0], params...)
	l.taken++
	return l.taken == len(l.lanes)
}

// together runs the trials taken and adds them to the result. If any of them panics, each is run alone.
func (r *shardRun) together() {
	lanes := r.lanes.lanes[:r.lanes.taken]
	r.lanes.taken = 0
	if !r.simulateTogether(lanes) {
		r.lanes = r.newLanes() // the state of those after a panic is unknown
		for i := range lanes {
			r.trial(lanes[i].m.trial, lanes[i].params)
		}
		return
	}
	p := r.plan
	for i := range lanes {
		lane := &lanes[i]
		if lane.sample.wanted {
			r.result.sample.add(lane.sample.blocks, lane.sample.returns)
		}
		p.aggregateParts(lane.scratch, &lane.m)
		r.m, r.ran = lane.m, true
		p.fill(&r.row, &r.m, lane.scratch)
		r.ratio = p.spec.selection(r.m.is.SR, r.m.outOf.SR)
		r.record(lane.params)
	}
}

// simulateTogether is Plan.simulate of all lanes. It reports whether the strategy came through.
func (r *shardRun) simulateTogether(lanes []lane) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for i := range lanes {
		trial := lanes[i].m.trial
		lanes[i].sample = sampleOfTrial(trial, r.sampler.takes(trial) && r.result.shard.Rung == 0)
	}
	var runners [backtest.Lanes]*backtest.Runner
	var metrics [backtest.Lanes]*backtest.Metrics
	for i, s := range r.plan.sets {
		for k := range lanes {
			runners[k] = lanes[k].runners[i].(*backtest.Runner)
			runners[k].Prepare(lanes[k].params)
		}
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
