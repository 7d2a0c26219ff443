package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// InsertLater inserts a job that is to be worked after a while, by the database's clock: River's own
// option takes a moment of the machine's.
func InsertLater(ctx context.Context, tx pgx.Tx, jobs Jobs, args river.JobArgs, after time.Duration) error {
	inserted, err := jobs.InsertTx(ctx, tx, args, &river.InsertOpts{Pending: true})
	if err != nil {
		return fmt.Errorf("insert %s job: %w", args.Kind(), err)
	}
	_, err = tx.Exec(ctx, `
		update river_job set state = 'scheduled', scheduled_at = clock_timestamp() + make_interval(secs => $2) where id = $1`,
		inserted.Job.ID, after.Seconds())
	if err != nil {
		return fmt.Errorf("schedule %s job: %w", args.Kind(), err)
	}
	return nil
}
