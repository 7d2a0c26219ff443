package api

import (
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
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

func viewNearMiss(n sweep.NearMiss) types.NearMiss {
	view := types.NearMiss{TooDeep: n.TooDeep, TooFewTrades: n.TooFewTrades, Trials: make([]types.Trial, len(n.Trials)), Relaxed: types.GateLimits(n.Relaxed)}
	for i, t := range n.Trials {
		view.Trials[i] = viewTrial(t)
	}
	return view
}
