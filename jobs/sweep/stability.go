package sweep

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// neighbour is a trial near the winner.
type neighbour struct {
	trial    int
	distance float64 // squared, every searched parameter scaled to [0,1]
}

// stability compares the winner with the trials around it: in a space of steps those one step away
// along one parameter, elsewhere the 2·d nearest.
func (p *Plan) stability(o *Overfit, all *gathered) {
	winner := int(all.ranking[0])
	score := all.selection(p, winner)
	searched := p.seq.space.searched()
	var near []neighbour
	if p.seq.space.discrete {
		near = p.oneStepAway(all.cols, winner, searched)
	} else {
		near = p.nearest(all.cols, winner, searched)
	}
	var sum float64
	for _, n := range near {
		// A pruned neighbour's score is one on other bars.
		_, pruned := all.cols.verdicts[n.trial].pruned()
		if score := all.selection(p, n.trial); isFinite(score) && !pruned {
			sum += score
		}
	}
	switch {
	case len(near) == 0:
		o.explain("stability", "no trial is next to the winner")
	case !(score > 0):
		o.explain("stability", "the winner's score is not above 0")
	default:
		o.Stability = defined(sum / float64(len(near)) / score)
	}
}

// oneStepAway finds the trials that differ from the winner by one step of one parameter.
func (p *Plan) oneStepAway(cols *columns, winner int, searched []int) []neighbour {
	axes := p.seq.space.axes
	home := make([]int, len(searched))
	for i, k := range searched {
		home[i] = axes[k].position(cols.params[k][winner])
	}
	var near []neighbour
	for trial := range cols.len() {
		steps := 0
		for i, k := range searched {
			d := axes[k].position(cols.params[k][trial]) - home[i]
			if steps += d * d; steps > 1 {
				break
			}
		}
		if steps == 1 {
			near = append(near, neighbour{trial: trial})
		}
	}
	return near
}

// nearest finds the 2·d trials nearest to the winner, equals by index.
func (p *Plan) nearest(cols *columns, winner int, searched []int) []neighbour {
	axes := p.seq.space.axes
	home := make(backtest.Params, len(searched))
	for i, k := range searched {
		home[i] = axes[k].unit(cols.params[k][winner])
	}
	wanted := 2 * len(searched)
	var near []neighbour // in order
	for trial := range cols.len() {
		if trial == winner {
			continue
		}
		limit := math.Inf(1)
		if len(near) == wanted {
			limit = near[wanted-1].distance
		}
		var distance float64
		for i, k := range searched {
			d := axes[k].unit(cols.params[k][trial]) - home[i]
			distance += float64(d * d)
		}
		if distance >= limit {
			continue
		}
		at, _ := slices.BinarySearchFunc(near, distance, func(n neighbour, d float64) int {
			return cmp.Or(cmp.Compare(n.distance, d), -1)
		})
		near = slices.Insert(near, at, neighbour{trial, distance})
		near = near[:min(len(near), wanted)]
	}
	return near
}
