package sweep

import (
	"math"

	"millrace/jobs/backtest"
)

// scanLimit bounds how many raw points one plan looks at to find the trials wanted among those that
// its constraints leave: about 0.4 s of work, or up to 1.6 s for the largest tunes.
func scanLimit(want int) uint64 { return uint64(min(max(1<<22, 32*want), 1<<24)) }

// cursorEvery is how many accepted points lie between two remembered places.
const cursorEvery = 1024

type order uint8

const (
	orderNatural  order = iota // the grid as it is written, last parameter fastest
	orderPermuted              // a seeded permutation of it
	orderDrawn                 // seeded draws by counter
	orderSobol                 // a scrambled Sobol sequence
)

// sequence enumerates raw points, of which the constraints accept some: trial i is the i-th accepted
// one. A cursor is a place in the raw enumeration.
type sequence struct {
	space       *space
	constraints []truthFunc
	order       order
	perm        permutation
	sobol       *sobol
	seed        uint64
	limit       uint64 // raw points there are
	scanned     uint64 // of which the count of trials may look at so many

	trials    int
	cursors   []uint64 // cursor of every cursorEvery-th trial; nil without constraints
	exhausted bool     // no point was left unseen
}

// newSequence lays out the trials of a checked spec. It counts what the constraints leave.
func newSequence(s Spec, sp *space, constraints []truthFunc) (*sequence, faults) {
	q := &sequence{space: sp, constraints: constraints, seed: *s.Seed, limit: sp.size}
	want := MaxTrials
	if s.NTrials != nil {
		want = *s.NTrials
	}
	q.scanned = min(sp.size, scanLimit(want))
	if !sp.discrete {
		q.scanned = scanLimit(want)
	}
	switch {
	case sp.discrete && s.SearchType != SearchRandom && q.wholeFits(want):
		return q, q.scanFaults(s, want)
	case s.SearchType == SearchSobol:
		q.order, q.limit, q.scanned = orderSobol, scanLimit(want), scanLimit(want)
		q.sobol = newSobol(len(sp.searched()), *s.Seed)
	case !sp.discrete || sp.size > maxPoints:
		q.order, q.limit = orderDrawn, q.scanned
	default:
		q.order, q.perm = orderPermuted, newPermutation(sp.size, *s.Seed)
	}
	q.scan(want)
	return q, q.scanFaults(s, want)
}

// wholeFits reports whether a grid has at most want points that the constraints accept, and then
// leaves the sequence laid out in natural order.
func (q *sequence) wholeFits(want int) bool {
	if q.limit > MaxTrials && (len(q.constraints) == 0 || q.limit > q.scanned) {
		return false
	}
	if len(q.constraints) == 0 && q.limit > uint64(want) {
		return false
	}
	q.scan(want + 1)
	return q.trials <= want
}

// scan counts the accepted points, want at most, and keeps cursors on the way.
func (q *sequence) scan(want int) {
	q.trials, q.cursors, q.exhausted = 0, nil, false
	endless := q.order == orderDrawn || q.order == orderSobol
	if len(q.constraints) == 0 {
		q.trials = int(min(q.limit, uint64(want)))
		q.exhausted = !endless && q.limit <= uint64(want)
		return
	}
	point := make(backtest.Params, len(q.space.axes))
	for cursor := uint64(0); q.trials < want; cursor++ {
		if cursor == q.scanned {
			q.exhausted = !endless && q.scanned == q.limit
			return
		}
		if !q.accepted(cursor, point) {
			continue
		}
		if q.trials%cursorEvery == 0 {
			q.cursors = append(q.cursors, cursor)
		}
		q.trials++
	}
}

// scanFaults says why the constraints leave no search, or nil.
func (q *sequence) scanFaults(s Spec, want int) (f faults) {
	switch {
	case q.trials == 0 && q.exhausted:
		f.add("constraints", nil, "leave none of the %d points of param_space", q.limit)
	case q.trials == 0:
		f.add("constraints", nil, "leave none of the first %d points tried; loosen them or narrow param_space", q.scanned)
	case s.NTrials != nil && q.trials < want && !q.exhausted:
		f.add("constraints", q.trials, "leave only %d of the n_trials %d among the first %d points tried; "+
			"loosen them, narrow param_space or lower n_trials", q.trials, want, q.scanned)
	}
	return f
}

// raw writes the point at a cursor, accepted or not.
func (q *sequence) raw(cursor uint64, out backtest.Params) {
	switch q.order {
	case orderNatural:
		q.space.point(cursor, out)
	case orderPermuted:
		q.space.point(q.perm.at(cursor), out)
	case orderSobol:
		axis := 0
		for k := range q.space.axes {
			u := 0.0
			if q.space.axes[k].searched {
				u = q.sobol.at(uint32(cursor), axis)
				axis++
			}
			out[k] = q.space.axes[k].draw(u)
		}
	case orderDrawn:
		for k := range q.space.axes {
			out[k] = q.space.axes[k].draw(uniform(draw64(q.seed, cursor, uint64(k))))
		}
	}
}

// accepted writes the point at a cursor and reports whether every constraint holds there.
func (q *sequence) accepted(cursor uint64, out backtest.Params) bool {
	q.raw(cursor, out)
	return q.allows(out)
}

// allows reports whether every constraint holds at a point.
func (q *sequence) allows(point backtest.Params) bool {
	for _, holds := range q.constraints {
		if !holds(point) {
			return false
		}
	}
	return true
}

// next writes the first accepted point at or after the cursor and returns the cursor behind it.
// ok is false at the end.
func (q *sequence) next(cursor uint64, out backtest.Params) (after uint64, ok bool) {
	for stop := min(q.limit, math.MaxUint64-1); cursor < stop; cursor++ {
		if q.accepted(cursor, out) {
			return cursor + 1, true
		}
	}
	return cursor, false
}

// cursor finds the place of a trial.
func (q *sequence) cursor(trial int) uint64 {
	if len(q.constraints) == 0 {
		return uint64(trial)
	}
	point := make(backtest.Params, len(q.space.axes))
	at := q.cursors[trial/cursorEvery]
	for range trial % cursorEvery {
		at, _ = q.next(at, point)
	}
	return at
}
