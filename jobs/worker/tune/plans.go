package tune

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/sweep"
	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/store"
	"millrace/store/strategies"
	"millrace/store/tuning"
)

// plansKept bounds the cache; a process works few tunes at a time.
const plansKept = 8

// plans caches the plan of each tune lately worked. A plan is immutable, so its shards share it.
type plans struct {
	tuning     *tuning.Store
	strategies *strategies.Store
	mu         sync.Mutex
	byID       map[uuid.UUID]*planned
	order      []uuid.UUID // oldest first
	paces      map[uuid.UUID]float64
	room       int // bytes that are kept of what all tunes found
}

type planned struct {
	plan  *sweep.Plan
	kept  *sweep.Kept // what this process found of the tune; nil: nothing, or it was too much
	bytes int         // that kept takes
}

// keptBytes bounds what is kept of all tunes. The rows of one take a quarter of it at most, and what is known of its trials half: a
// worker of 512 MB has no room for the rows of a million trials, 65 MB, while they run.
const keptBytes = 128 << 20

// pacesKept bounds the paces that are kept.
const pacesKept = 64

func newPlans(tunes *tuning.Store, scripts *strategies.Store) *plans {
	return &plans{tuning: tunes, strategies: scripts, byID: map[uuid.UUID]*planned{}, paces: map[uuid.UUID]float64{}, room: keptBytes}
}

// get makes the tune's plan, or finds it. A spec that does not fit its dataset is a permanent error.
func (p *plans) get(ctx context.Context, tune *tuning.Tune) (*sweep.Plan, error) {
	ops.Tag(ctx, "strategy", strategies.Label(tune.Spec.StrategyName))
	p.mu.Lock()
	known := p.byID[tune.ID]
	p.mu.Unlock()
	if known != nil {
		return known.plan, nil
	}
	series, err := p.tuning.Series(ctx, tune)
	if err != nil {
		return nil, fmt.Errorf("bars of tune %s: %w", tune.ID, err)
	}
	if err := p.strategies.Bind(ctx, tune.WorkspaceID, &tune.Spec); err != nil {
		return nil, scriptFault(err)
	}
	plan, problems := sweep.NewPlanOver(tune.Spec, series)
	if len(problems) > 0 {
		var reasons []string
		for _, problem := range problems {
			reasons = append(reasons, problem.Field+": "+problem.Message)
		}
		return nil, &attempt.PermanentError{Reason: strings.Join(reasons, "; ")}
	}
	p.keep(tune.ID, plan)
	return plan, nil
}

func (p *plans) keep(id uuid.UUID, plan *sweep.Plan) {
	var kept *sweep.Kept
	if plan.RowBytes() <= p.room/4 {
		kept = plan.Keep(p.room / 2) // which takes longer than anything here should be locked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.byID[id]; ok {
		return
	}
	if len(p.order) == plansKept {
		delete(p.byID, p.order[0])
		p.order = p.order[1:]
	}
	p.byID[id] = &planned{plan: plan, kept: kept}
	p.order = append(p.order, id)
}

// kept is where results of the tune's shards are kept until it is ranked, or nil. A plan that was made again, because the
// cache had dropped it, keeps what it finds from then on.
func (p *plans) kept(tune uuid.UUID, plan *sweep.Plan) *sweep.Kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[tune]; known != nil && known.plan == plan {
		return known.kept
	}
	return nil
}

// add keeps a result. Where that is too much for all tunes, the oldest ones keep nothing any more.
func (p *plans) add(tune uuid.UUID, kept *sweep.Kept, result *sweep.ShardResult) {
	taken := kept.Add(result)
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[tune]; known != nil && known.kept == kept {
		known.bytes += taken
	}
	sum := 0
	for _, known := range p.byID {
		sum += known.bytes
	}
	for _, id := range p.order {
		if known := p.byID[id]; sum > p.room {
			sum -= known.bytes
			known.kept, known.bytes = nil, 0
		}
	}
}

// forget ends what is kept of a tune, which has been ranked.
func (p *plans) forget(tune uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[tune]; known != nil {
		known.kept, known.bytes = nil, 0
	}
}

// pace is how long one of the tune's trials takes here. It is measured once a tune, and once for all folds of a
// walk-forward, whose trials differ in nothing but their bars.
func (p *plans) pace(tune *tuning.Tune, plan *sweep.Plan, measure func() (time.Duration, error)) (time.Duration, error) {
	id, bars := tune.ID, float64(max(1, plan.TrialBars()))
	if tune.Fold != nil {
		id = tune.Fold.WFO
	}
	p.mu.Lock()
	perBar, known := p.paces[id]
	p.mu.Unlock()
	if known {
		return max(time.Duration(perBar*bars), time.Nanosecond), nil
	}
	perTrial, err := measure()
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.paces) == pacesKept {
		clear(p.paces)
	}
	p.paces[id] = float64(perTrial) / bars
	return perTrial, nil
}

// scriptFault makes what is missing for good a permanent error.
func scriptFault(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &attempt.PermanentError{Reason: "the script that the tune was submitted with is gone: " + err.Error()}
	}
	return err
}
