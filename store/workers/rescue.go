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

	Attempt     int
	WorkspaceID string // "" if the kind has none
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

// mostReturns bounds how often a job that a live worker lost is run again at no cost to it: an outcome
// that can never be recorded must come to an end.
const mostReturns = 50

// Rescue makes orphaned jobs available again without a wait. One whose cancellation was asked for
// is cancelled. One that lost its worker at its last attempt gets one more, in which it is to be
// failed rather than worked, see attempt.Worker; if that is lost too, it is discarded. A job whose
// worker lives, but has forgotten it, ended in an outcome that the database did not take: the attempt
// is given back.
func (s *Store) Rescue(ctx context.Context) ([]Rescued, error) {
	var rescued []Rescued
	// The outcome is not from the holder, and says so: see migrations/sql, river_job_refuse_zombie.
	const begin = "begin; set local role millrace_fleet; set local millrace.worker = ''"
	err := s.db.InTx(ctx, begin, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			with lost as (
				select j.id, exists (select from workers w
				                      where w.id = j.attempted_by[array_upper(j.attempted_by, 1)]
				                        and w.beat_at > clock_timestamp() - make_interval(secs => $1)
				                        and j.max_attempts < $2) as unrecorded
				`+orphans+` order by j.id for update skip locked)
			update river_job j
			   set state = case when metadata ? 'cancel_attempted_at' then 'cancelled'
			                    when attempt > max_attempts and not unrecorded then 'discarded'
			                    else 'available' end::river_job_state,
			       finalized_at = case when metadata ? 'cancel_attempted_at' or attempt > max_attempts and not unrecorded
			                           then clock_timestamp() end,
			       max_attempts = case when unrecorded then greatest(attempt, max_attempts) + 1 else max_attempts end,
			       scheduled_at = clock_timestamp(),
			       errors = array_append(errors, jsonb_build_object(
			           'at', clock_timestamp(), 'attempt', attempt, 'trace', '',
			           'error', 'the worker ' || attempted_by[array_upper(attempted_by, 1)]
			                    || case when unrecorded then ' could not record the outcome' else ' is gone' end))
			  from lost where lost.id = j.id
			returning j.id, j.kind, j.state::text, j.attempt, coalesce(j.args ->> 'workspace_id', '')`, LeaseSeconds, mostReturns)
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

// Suspects says whether a worker that has fallen silent seems to hold jobs or sessions. The database takes
// a write before it is believed: where a disk is full, one worker's heartbeat finds room and another's
// does not, and none of them is gone.
func (s *Store) Suspects(ctx context.Context) (found bool, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `
			select case when exists (select `+orphans+`) or has_lost_sessions(make_interval(secs => $1))
			            then probe_write('0') > clock_timestamp() - make_interval(secs => $1 / 2.0)
			            else false end`, LeaseSeconds).Scan(&found)
	})
	if err != nil {
		return false, fmt.Errorf("look for lost workers: %w", err)
	}
	return found, nil
}

// LostSessions are the sessions of one lost worker that were ended.
type LostSessions struct {
	Worker   string
	Sessions int
}

// EndLostSessions ends the sessions of workers whose heartbeat is gone, and with them the locks and
// snapshots that a frozen or unreachable process holds. A worker that comes back connects again.
func (s *Store) EndLostSessions(ctx context.Context) ([]LostSessions, error) {
	var ended []LostSessions
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select worker, sessions from end_lost_sessions(make_interval(secs => $1))`, LeaseSeconds)
		if err != nil {
			return fmt.Errorf("end the sessions of lost workers: %w", err)
		}
		if ended, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LostSessions]); err != nil {
			return fmt.Errorf("end the sessions of lost workers: %w", err)
		}
		return nil
	})
	return ended, err
}
