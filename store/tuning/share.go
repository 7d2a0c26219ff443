package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// share is what decides how much of its workspace's window a tune gets. The workspace has as many shards
// in the queue or running as keep the fleet's trial slots busy and no more, shared by the tunes that it
// has running. So the rest of a huge tune does not stand in the queue before a small one, nor many tunes
// of one workspace before the one of another.
type share struct {
	active int  // tunes and walk-forwards of the workspace that are admitted
	folds  int  // of the tune's walk-forward that are admitted; 0 for a tune that is not a fold
	alone  bool // no other tune of the workspace has a shard in the queue or running
}

// readShare reads the share of a tune.
func readShare(ctx context.Context, tx pgx.Tx, tune *Tune) (share, error) {
	var s share
	var wfo *uuid.UUID
	if tune.Fold != nil {
		wfo = &tune.Fold.WFO
	}
	err := tx.QueryRow(ctx, `
		select `+store.ActiveWork+`,
		       (select count(*) from tunes where wfo_id = $3 and admitted and status in ('queued', 'running')),
		       not exists (select from tunes t join tune_progress p on p.tune_id = t.id
		                    where t.workspace_id = $1 and t.admitted and t.status = 'running'
		                      and t.id <> $2 and p.next_shard > p.shards_done)`,
		tune.WorkspaceID, tune.ID, wfo).Scan(&s.active, &s.folds, &s.alone)
	if err != nil {
		return s, fmt.Errorf("read the share of tune %s: %w", tune.ID, err)
	}
	return s, nil
}

// allowed is how many shards the tune may have in the queue or running. The admitted work of a workspace
// shares the window, rounded up, and the folds of a walk-forward share what it gets.
func (s share) allowed(window int) int {
	parts := max(s.active, 1) * max(s.folds, 1)
	return (window + parts - 1) / parts
}

// room is how many more shards the tune may have in the queue; 0 or less when it has its share.
func (s share) room(at shardCounts, window int) int {
	return min(at.total-at.next, s.allowed(window)-(at.next-at.done))
}

// goesFirst reports whether the next shard goes ahead of what other workspaces have queued: the
// workspace has none in the queue or running.
func (s share) goesFirst(at shardCounts) bool { return s.alone && at.next == at.done }
