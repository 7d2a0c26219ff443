package schedules

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// counted bounds what is counted of schedules in trouble.
const counted = 1000

// Trouble is what is wrong with the schedules of all workspaces.
type Trouble struct {
	Failing int         // whose last runs, Failing or more in a row, have failed; at most 1000
	Named   []uuid.UUID // the first few of them
	Missed  int64       // slots of the last hour that were missed, and are not made up for
	Late    time.Duration
	LateID  *uuid.UUID // whose slot should have run for as long as Late; nil: none is late
}

// Troubled looks for schedules in trouble, and names few of those that fail.
func (s *Store) Troubled(ctx context.Context, few int) (t Trouble, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`
			with failing as materialized (select id from schedules where failures > 0 and failures >= $1 limit $2)
			select (select count(*) from failing), array(select id from failing order by id limit $3)`, Failing, counted, few).
			QueryRow(func(row pgx.Row) error { return row.Scan(&t.Failing, &t.Named) })
		batch.Queue(`
			select coalesce(sum(slots), 0) from schedule_slots
			 where state = 'skipped' and created_at > clock_timestamp() - interval '1 hour' and starts_with(reason, $1)`, missed).
			QueryRow(func(row pgx.Row) error { return row.Scan(&t.Missed) })
		batch.Queue(`
			select id, clock_timestamp() - next_at from schedules where next_at < clock_timestamp() order by next_at limit 1`).
			Query(func(rows pgx.Rows) error {
				_, err := pgx.ForEachRow(rows, []any{&t.LateID, &t.Late}, func() error { return nil })
				return err
			})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("look for schedules in trouble: %w", err)
		}
		return nil
	})
	return t, err
}
