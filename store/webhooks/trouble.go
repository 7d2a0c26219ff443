package webhooks

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// counted bounds what is counted of webhooks in trouble.
const counted = 1000

// Group is webhooks with the same trouble.
type Group struct {
	Count int           // at most 1000
	Named []uuid.UUID   // the first few of them
	For   time.Duration // how long the first of them has been in it; 0 of Dead
}

// Trouble is what is wrong with the webhooks of all workspaces.
type Trouble struct {
	Dead    Group // their receivers failed for days
	Failing Group // active, and the last attempt failed
	Behind  Group // active and not failing, with an event in the log that their place is before
}

// Troubled looks for webhooks in trouble, and names few of each group. Like a look of Dispatch it costs a search of
// an index for each webhook that is active.
func (s *Store) Troubled(ctx context.Context, few int) (t Trouble, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		look := func(group *Group, sql string) {
			batch.Queue(`
				with found as materialized (`+sql+` limit $1)
				select (select count(*) from found), array(select id from found order by since, id limit $2),
				       coalesce(clock_timestamp() - (select min(since) from found), interval '0')`, counted, few).
				QueryRow(func(row pgx.Row) error { return row.Scan(&group.Count, &group.Named, &group.For) })
		}
		look(&t.Dead, `select id, null::timestamptz as since from webhooks where state = 'dead'`)
		look(&t.Failing, `select id, failing_since as since from webhooks where state = 'active' and failing_since is not null order by failing_since`)
		look(&t.Behind, `
			select w.id, e.at as since
			  from webhooks w, lateral (
			       select at from event_log where workspace_id = w.workspace_id and (xid, id) > (w.xid, w.event_id) order by xid, id limit 1) e
			 where w.state = 'active' and w.failing_since is null`)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("look for webhooks in trouble: %w", err)
		}
		return nil
	})
	return t, err
}
