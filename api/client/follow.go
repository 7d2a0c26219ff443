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
	return follow(ctx, c.Events("backtests"), id, "backtest.tune.", show, followed[types.Tune, types.TuneProgress]{
		read:  func(ctx context.Context) (*types.Tune, error) { return c.Tune(ctx, id, leaderboard) },
		ended: func(t *types.Tune) bool { return t.Status.Ended() },
		apply: func(now *types.Tune, p *types.TuneProgress) (ended bool) {
			if p.Status.Ended() {
				return true
			}
			if now.Status == types.TuneRunning && p.Status == types.TuneQueued { // from before the row was read
				return false
			}
			now.Status, now.NTrials = p.Status, max(now.NTrials, p.NTrials)
			now.TrialsCompleted = max(now.TrialsCompleted, p.TrialsCompleted)
			if p.BestScore != nil {
				now.BestScore = p.BestScore
			}
			now.ETASeconds = p.ETASeconds
			return false
		},
	})
}

// FollowWFO calls show with a walk-forward whenever it changes, until it has ended, as FollowTune
// does with a tune.
func (c *Client) FollowWFO(ctx context.Context, id string, candidates int, show func(types.WFO)) (*types.WFO, error) {
	return follow(ctx, c.Events("wfo"), id, "wfo.run.", show, followed[types.WFO, types.WFOProgress]{
		read:  func(ctx context.Context) (*types.WFO, error) { return c.WFO(ctx, id, candidates) },
		ended: func(w *types.WFO) bool { return w.Status.Ended() },
		apply: func(now *types.WFO, p *types.WFOProgress) (ended bool) {
			if p.Status.Ended() {
				return true
			}
			if now.Status == types.WFORunning && p.Status == types.WFOPending { // from before the row was read
				return false
			}
			now.Status, now.NFolds, now.NTrials = p.Status, p.NFolds, p.NTrials
			now.FoldsDone, now.FoldsFailed = max(now.FoldsDone, p.FoldsDone), p.FoldsFailed
			now.TrialsCompleted, now.ETASeconds = p.TrialsCompleted, p.ETASeconds
			return false
		},
	})
}

// followed is how a resource is read and what an event says of it.
type followed[T, P any] struct {
	read  func(context.Context) (*T, error)
	ended func(*T) bool
	apply func(now *T, progress *P) (ended bool)
}

// follow shows a resource whenever it changes, until it has ended. Its events are those of its id whose
// type has the prefix.
func follow[T, P any](ctx context.Context, stream *Stream, id, prefix string, show func(T), f followed[T, P]) (*T, error) {
	var now *T
	refresh := func(ctx context.Context) error {
		read, err := f.read(ctx)
		if err != nil {
			return err
		}
		now = read
		show(*now)
		if f.ended(now) {
			return ErrStop
		}
		return nil
	}
	handle := func(e types.Event) error {
		if e.EntityID != id || now == nil || !strings.HasPrefix(e.Type, prefix) {
			return nil
		}
		var progress P
		if err := json.Unmarshal(e.Payload, &progress); err != nil {
			return fmt.Errorf("read event %s: %w", e.Cursor, err)
		}
		if f.apply(now, &progress) {
			return refresh(ctx)
		}
		show(*now)
		return nil
	}
	if err := stream.Run(ctx, refresh, handle); err != nil {
		return nil, err
	}
	return now, nil
}
