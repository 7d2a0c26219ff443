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
}

type planned struct {
	plan     *sweep.Plan
	perTrial time.Duration // 0: not measured here yet
}

func newPlans(tunes *tuning.Store, scripts *strategies.Store) *plans {
	return &plans{tuning: tunes, strategies: scripts, byID: map[uuid.UUID]*planned{}}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.byID[id]; ok {
		return
	}
	if len(p.order) == plansKept {
		delete(p.byID, p.order[0])
		p.order = p.order[1:]
	}
	p.byID[id] = &planned{plan: plan}
	p.order = append(p.order, id)
}

// pace is how long one of the tune's trials takes here; measured once a tune.
func (p *plans) pace(id uuid.UUID, measure func() (time.Duration, error)) (time.Duration, error) {
	p.mu.Lock()
	known := p.byID[id]
	if known != nil && known.perTrial > 0 {
		defer p.mu.Unlock()
		return known.perTrial, nil
	}
	p.mu.Unlock()
	perTrial, err := measure()
	if err == nil && known != nil {
		p.mu.Lock()
		known.perTrial = perTrial
		p.mu.Unlock()
	}
	return perTrial, err
}

// scriptFault makes what is missing for good a permanent error.
func scriptFault(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &attempt.PermanentError{Reason: "the script that the tune was submitted with is gone: " + err.Error()}
	}
	return err
}
