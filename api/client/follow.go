package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"millrace/api/types"
)

// FollowTune calls show with a tune whenever it changes, until it has ended, and returns it as it is
// then, with its leaderboard. It begins with the tune's row and follows its events; whenever the
// stream had to be opened again, the row is read again, so nothing in between is missed.
func (c *Client) FollowTune(ctx context.Context, id string, leaderboard int, show func(types.Tune)) (*types.Tune, error) {
	var now *types.Tune
	refresh := func(ctx context.Context) error {
		t, err := c.Tune(ctx, id, leaderboard)
		if err != nil {
			return err
		}
		now = t
		show(*t)
		if t.Status.Ended() {
			return ErrStop
		}
		return nil
	}
	handle := func(e types.Event) error {
		if e.EntityID != id || now == nil || !strings.HasPrefix(e.Type, "backtest.tune.") {
			return nil
		}
		var p types.TuneProgress
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return fmt.Errorf("read event %s: %w", e.Cursor, err)
		}
		if p.Status.Ended() {
			return refresh(ctx)
		}
		now.Status, now.NTrials = p.Status, max(now.NTrials, p.NTrials)
		now.TrialsCompleted = max(now.TrialsCompleted, p.TrialsCompleted)
		if p.BestScore != nil {
			now.BestScore = p.BestScore
		}
		now.ETASeconds = p.ETASeconds
		show(*now)
		return nil
	}
	if err := c.Events("backtests").Run(ctx, refresh, handle); err != nil {
		return nil, err
	}
	return now, nil
}

// FollowWFO calls show with a walk-forward whenever it changes, until it has ended, as FollowTune
// does with a tune.
func (c *Client) FollowWFO(ctx context.Context, id string, candidates int, show func(types.WFO)) (*types.WFO, error) {
	var now *types.WFO
	refresh := func(ctx context.Context) error {
		w, err := c.WFO(ctx, id, candidates)
		if err != nil {
			return err
		}
		now = w
		show(*w)
		if w.Status.Ended() {
			return ErrStop
		}
		return nil
	}
	handle := func(e types.Event) error {
		if e.EntityID != id || now == nil || !strings.HasPrefix(e.Type, "wfo.run.") {
			return nil
		}
		var p types.WFOProgress
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return fmt.Errorf("read event %s: %w", e.Cursor, err)
		}
		if p.Status.Ended() {
			return refresh(ctx)
		}
		now.Status, now.NFolds, now.NTrials = p.Status, p.NFolds, p.NTrials
		now.FoldsDone, now.FoldsFailed = max(now.FoldsDone, p.FoldsDone), p.FoldsFailed
		now.TrialsCompleted, now.ETASeconds = p.TrialsCompleted, p.ETASeconds
		show(*now)
		return nil
	}
	if err := c.Events("wfo").Run(ctx, refresh, handle); err != nil {
		return nil, err
	}
	return now, nil
}
