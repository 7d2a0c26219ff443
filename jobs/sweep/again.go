package sweep

import (
	"fmt"

	"millrace/jobs/backtest"
)

// runAgain runs the leaders whose metrics were not kept side by side, where the strategy can be run so, and adds what they find to
// full. Those whose entries show each dataset are left to be run alone, and so is a group of which one panics.
func (p *Plan) runAgain(all *gathered, best []int32, full map[int]fullMetrics) error {
	run := shardRun{plan: p, scratch: p.scratch(), result: &ShardResult{}} // its sampler takes none
	defer p.clear(run.scratch)
	run.lanes = run.newLanes()
	if run.lanes == nil {
		return nil
	}
	defer run.lanes.clear(p)
	n := 0
	for rank, index := range best {
		if _, kept := full[int(index)]; !kept && !p.showsDatasets(rank) {
			next := &run.lanes.lanes[n]
			next.m, next.params = fullMetrics{trial: int(index)}, make(backtest.Params, len(p.names))
			all.cols.point(int(index), next.params)
			n++
		}
		if n == backtest.Lanes || n > 0 && rank == len(best)-1 {
			if err := run.groupAgain(all, run.lanes.lanes[:n], full); err != nil {
				return err
			}
			n = 0
		}
	}
	return nil
}

func (r *shardRun) groupAgain(all *gathered, group []lane, full map[int]fullMetrics) error {
	if !r.simulateTogether(group) {
		r.lanes.renew(r.plan) // the state of those after a panic is unknown
		return nil
	}
	for i := range group {
		lane := &group[i]
		r.plan.aggregateParts(lane.scratch, &lane.m)
		if err := r.plan.sameScore(lane.m.trial, lane.scratch, all.cols.scores[0][lane.m.trial]); err != nil {
			return err
		}
		full[lane.m.trial] = lane.m
	}
	return nil
}

// sameScore is an error where a trial just run again has another score than its shard found.
func (p *Plan) sameScore(trial int, b *scratch, found float64) error {
	if score := p.score(b.is, b); score != found && isFinite(score) {
		return fmt.Errorf("trial %d scores %v when run again, not %v: its shard was run by another version", trial, score, found)
	}
	return nil
}
