package workers

import (
	"context"
	"fmt"

	"millrace/store"

	"github.com/jackc/pgx/v5"
)

// Rescued is a job taken from a worker that is gone.
type Rescued struct {
	ID    int64
	Kind  string
	State string // available, cancelled or discarded
}

// orphans are running jobs that no counted heartbeat holds. The grace covers the moment between
// a job's fetch and the next heartbeat.
const orphans = `
	from river_job j
	 where state = 'running'
	   and attempted_at < clock_timestamp() - make_interval(secs => $1)
	   and not exists (select from workers w
	                    where w.id = j.attempted_by[array_upper(j.attempted_by, 1)]
	                      and w.beat_at > clock_timestamp() - make_interval(secs => $1)
	                      and j.id = any (w.running))`

// Rescue makes orphaned jobs available again without a wait. One whose cancellation was asked for
// is cancelled. One that lost its worker at its last attempt gets one more, in which it is to be
// failed rather than worked, see attempt.Worker; if that is lost too, it is discarded.
func (s *Store) Rescue(ctx context.Context) ([]Rescued, error) {
	var rescued []Rescued
	// The outcome is not from the holder, and says so: see migrations/sql, river_job_refuse_zombie.
	const begin = "begin; set local role millrace_fleet; set local millrace.worker = ''"
	err := s.db.InTx(ctx, begin, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			with lost as (select j.id `+orphans+` order by j.id for update skip locked)
			update river_job j
			   set state = case when metadata ? 'cancel_attempted_at' then 'cancelled'
			                    when attempt > max_attempts then 'discarded'
			                    else 'available' end::river_job_state,
			       finalized_at = case when metadata ? 'cancel_attempted_at' or attempt > max_attempts
			                           then clock_timestamp() end,
			       scheduled_at = clock_timestamp(),
			       errors = array_append(errors, jsonb_build_object(
			           'at', clock_timestamp(), 'attempt', attempt, 'trace', '',
			           'error', 'the worker ' || attempted_by[array_upper(attempted_by, 1)] || ' is gone'))
			  from lost where lost.id = j.id
			returning j.id, j.kind, j.state::text`, LeaseSeconds)
		if err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
		rescued, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Rescued])
		if err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
		if len(rescued) == 0 {
			return nil
		}
		ids := make([]int64, len(rescued))
		for i, r := range rescued {
			ids[i] = r.ID
		}
		_, err = tx.Exec(ctx, `
			select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
			  from (select distinct queue from river_job where id = any($1) and state = 'available') q`, ids)
		if err != nil {
			return fmt.Errorf("wake the fleet: %w", err)
		}
		return nil
	})
	return rescued, err
}
