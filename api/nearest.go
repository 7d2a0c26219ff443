package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

// getNearest handles GET /backtests/tunes/:id/nearest: over the trials that have ended so far.
func (s *Server) getNearest(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	most, err := queryInt(c, "limit", 10, 1, 100)
	if err != nil {
		return err
	}
	ctx, reads := c.Request().Context(), consoleReads{s.store}
	tune, err := reads.StoredTune(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	near := sweep.NewNearest(tune.Spec, most)
	if err := reads.EachShard(ctx, tune, near.Add); err != nil {
		return err
	}
	return ok(c, viewNearMiss(near.Result()))
}

// admits says which limits would admit the trials of an ended tune that miss them by least; "" where limits
// exclude none.
func (s *Server) admits(ctx context.Context, workspace uuid.UUID, tune *tuning.Tune) (string, error) {
	const most = 10
	reads := consoleReads{s.store}
	stored, err := reads.StoredTune(ctx, workspace, tune.ID)
	if err != nil {
		return "", err
	}
	near := sweep.NewNearest(stored.Spec, most)
	err = reads.EachShard(ctx, stored, near.Add)
	if errors.As(err, new(*tuning.TrialsDroppedError)) {
		return "", nil // what a trial missed is not known any more
	}
	if err != nil {
		return "", err
	}
	var limits []string
	relaxed := near.Result().Relaxed
	if v := relaxed.MaxDrawdownPct; v != nil {
		limits = append(limits, fmt.Sprintf("a drawdown of at most %v %%", *v))
	}
	if v := relaxed.MinTrades; v != nil {
		limits = append(limits, fmt.Sprintf("at least %d trades", *v))
	}
	return strings.Join(limits, " and "), nil
}

func viewNearMiss(n sweep.NearMiss) types.NearMiss {
	view := types.NearMiss{TooDeep: n.TooDeep, TooFewTrades: n.TooFewTrades, Trials: make([]types.Trial, len(n.Trials)), Relaxed: types.GateLimits(n.Relaxed)}
	for i, t := range n.Trials {
		view.Trials[i] = viewTrial(t)
	}
	return view
}
