package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Worker is one worker process as the fleet sees it.
type Worker struct {
	ID      string // its River client id
	Host    string
	PID     int
	Version string
	Queues  map[string]int // slots of each queue
}

// leaseSeconds is how long a heartbeat counts. Jobs that no counted heartbeat holds run again.
const leaseSeconds = 4

// HeartbeatLease is how long the fleet waits for a silent worker.
const HeartbeatLease = leaseSeconds * time.Second

// Beat renews the worker's heartbeat with the jobs it holds.
func (s *Store) Beat(ctx context.Context, w Worker, running []int64) error {
	queues, err := json.Marshal(w.Queues)
	if err != nil {
		return fmt.Errorf("encode queues: %w", err)
	}
	if running == nil {
		running = []int64{}
	}
	_, err = s.pool.Exec(ctx, `
		insert into workers (id, host, pid, version, queues, running)
		values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do update set running = excluded.running, beat_at = clock_timestamp()`,
		w.ID, w.Host, w.PID, w.Version, queues, running)
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", w.ID, err)
	}
	return nil
}

// Retire removes the heartbeat of a worker that has stopped, so that what it still held is run
// again at once.
func (s *Store) Retire(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, `delete from workers where id = $1`, id); err != nil {
		return fmt.Errorf("retire worker %s: %w", id, err)
	}
	return nil
}

// fleetSlots is how many jobs of a queue the live workers can run at once.
func fleetSlots(ctx context.Context, tx pgx.Tx, queue string) (int, error) {
	var slots int
	err := tx.QueryRow(ctx, `
		select coalesce(sum((queues ->> $1)::int), 0) from workers
		 where beat_at > clock_timestamp() - make_interval(secs => $2)`, queue, leaseSeconds).Scan(&slots)
	if err != nil {
		return 0, fmt.Errorf("count %s slots: %w", queue, err)
	}
	return slots, nil
}

// TrialSlots is how many shards the live workers can run at once.
func (s *Store) TrialSlots(ctx context.Context) (slots int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		slots, err = fleetSlots(ctx, tx, "trials")
		return err
	})
	return slots, err
}

// Rescued is a job taken from a worker that is gone.
type Rescued struct {
	ID    int64
	Kind  string
	State string // available, cancelled or discarded
	tune  uuid.NullUUID
	wfo   uuid.NullUUID
	in    uuid.NullUUID // ingestion
	space uuid.NullUUID
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
// is cancelled, and one that has used up its attempts is discarded together with its tune.
func (s *Store) Rescue(ctx context.Context) ([]Rescued, error) {
	var rescued []Rescued
	err := s.inFleet(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with lost as (select j.id `+orphans+` order by j.id for update skip locked)
			update river_job j
			   set state = case when metadata ? 'cancel_attempted_at' then 'cancelled'
			                    when attempt >= max_attempts then 'discarded'
			                    else 'available' end::river_job_state,
			       finalized_at = case when metadata ? 'cancel_attempted_at' or attempt >= max_attempts
			                           then clock_timestamp() end,
			       scheduled_at = clock_timestamp(),
			       errors = array_append(errors, jsonb_build_object(
			           'at', clock_timestamp(), 'attempt', attempt, 'trace', '',
			           'error', 'the worker ' || attempted_by[array_upper(attempted_by, 1)] || ' is gone'))
			  from lost where lost.id = j.id
			returning j.id, j.kind, j.state::text,
			          (j.args ->> 'tune_id')::uuid, (j.args ->> 'wfo_id')::uuid,
			          (j.args ->> 'ingest_id')::uuid, (j.args ->> 'workspace_id')::uuid`, leaseSeconds)
		if err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
		rescued, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Rescued, err error) {
			err = row.Scan(&r.ID, &r.Kind, &r.State, &r.tune, &r.wfo, &r.in, &r.space)
			return r, err
		})
		if err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
		if len(rescued) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, `
			select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
			  from (select distinct queue from river_job where id = any($1) and state = 'available') q`, rescuedIDs(rescued))
		if err != nil {
			return fmt.Errorf("wake the fleet: %w", err)
		}
		return s.failDiscarded(ctx, tx, rescued)
	})
	return rescued, err
}

func rescuedIDs(rescued []Rescued) []int64 {
	ids := make([]int64, len(rescued))
	for i, r := range rescued {
		ids[i] = r.ID
	}
	return ids
}

// failDiscarded ends the tunes, walk-forwards and ingestions whose job took down every worker that tried it.
func (s *Store) failDiscarded(ctx context.Context, tx pgx.Tx, rescued []Rescued) error {
	for _, r := range rescued {
		if r.State != "discarded" || !r.space.Valid {
			continue
		}
		reason := fmt.Sprintf("job %d (%s) lost its worker at every attempt", r.ID, r.Kind)
		var err error
		switch {
		case r.tune.Valid:
			err = s.failLostTune(ctx, tx, r, reason)
		case r.wfo.Valid:
			err = s.failLostWFO(ctx, tx, r, reason)
		case r.in.Valid:
			err = failLostIngest(ctx, tx, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) failLostTune(ctx context.Context, tx pgx.Tx, r Rescued, reason string) error {
	if err := lockTune(ctx, tx, r.tune.UUID); err != nil {
		return err
	}
	tune, err := readTune(ctx, tx, r.space.UUID, r.tune.UUID)
	if err != nil {
		return err
	}
	ended, err := s.endTune(ctx, tx, tune, TuneFailed, reason)
	if err != nil || !ended {
		return err
	}
	return s.cancelOtherJobs(ctx, tx, r.tune.UUID, r.ID)
}

func (s *Store) failLostWFO(ctx context.Context, tx pgx.Tx, r Rescued, reason string) error {
	if err := lockRoot(ctx, tx, r.wfo.UUID); err != nil {
		return err
	}
	wfo, err := readWFO(ctx, tx, r.space.UUID, r.wfo.UUID)
	if err != nil {
		return err
	}
	_, err = s.endWFO(ctx, tx, wfo, WFOFailed, reason, r.ID)
	return err
}

func failLostIngest(ctx context.Context, tx pgx.Tx, r Rescued) error {
	if err := lockTune(ctx, tx, r.in.UUID); err != nil {
		return err
	}
	ingest, err := readIngest(ctx, tx, r.space.UUID, r.in.UUID)
	if err != nil || ingest.Status.Ended() {
		return err
	}
	return endIngest(ctx, tx, ingest, IngestFailed, "the source took down every worker that tried it")
}

// ForgetWorkers removes heartbeats that have been silent for a day.
func (s *Store) ForgetWorkers(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `delete from workers where beat_at < clock_timestamp() - interval '1 day'`)
	if err != nil {
		return fmt.Errorf("forget silent workers: %w", err)
	}
	return nil
}
