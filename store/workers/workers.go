package workers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/backtest"
)

// Worker is one worker process as the fleet sees it.
type Worker struct {
	ID      string // its River client id
	Host    string
	PID     int
	Version string
	Stamp   backtest.Stamp // of the rules that it works by
	Queues  map[string]int // slots of each queue
}

// LeaseSeconds is how long a heartbeat counts. Jobs that no counted heartbeat holds run again.
const LeaseSeconds = 4

// HeartbeatLease is how long the fleet waits for a silent worker.
const HeartbeatLease = LeaseSeconds * time.Second

// Held is a job that a worker works, in the attempt it works it.
type Held struct {
	JobID   int64
	Attempt int
}

// Recall says that a held job is not to be worked on: its cancellation was asked for, or it is
// another attempt's by now.
type Recall struct {
	Held
	Cancelled bool // else lost
}

// Beat renews the worker's heartbeat. running are the jobs it works, and unrecorded those whose
// outcome River has yet to record; both are held. It returns which of the running it should stop.
func (s *Store) Beat(ctx context.Context, w Worker, running []Held, unrecorded []int64) ([]Recall, error) {
	queues, err := json.Marshal(w.Queues)
	if err != nil {
		return nil, fmt.Errorf("encode queues: %w", err)
	}
	ids := make([]int64, len(running))
	attempts := make([]int, len(running))
	for i, h := range running {
		ids[i], attempts[i] = h.JobID, h.Attempt
	}
	held := append(append([]int64{}, ids...), unrecorded...)
	var recalls []Recall
	batch := &pgx.Batch{}
	var database time.Time
	asked := s.db.Clock().Machine()
	batch.Queue(`
		insert into workers (id, host, pid, version, queues, running, clock_ahead_seconds, engine, semantics)
		values ($1, $2, $3, $4, $5, $6, extract(epoch from $7::timestamptz - clock_timestamp()), nullif($8, ''), $9)
		on conflict (id) do update set running = excluded.running, clock_ahead_seconds = excluded.clock_ahead_seconds,
		                               beat_at = clock_timestamp()
		returning beat_at`,
		w.ID, w.Host, w.PID, w.Version, queues, held, asked, w.Stamp.Engine, w.Stamp.Semantics).QueryRow(func(row pgx.Row) error { return row.Scan(&database) })
	batch.Queue(`
		select h.id, h.attempt, coalesce(j.attempt = h.attempt and j.metadata ? 'cancel_attempted_at', false)
		  from unnest($1::bigint[], $2::int[]) h (id, attempt)
		  left join river_job j on j.id = h.id
		 where j.id is null
		    or j.attempt <> h.attempt
		    or j.state not in ('running', 'completed') -- completed: it is about to return
		    or j.state = 'running' and (j.metadata ? 'cancel_attempted_at'
		                                or j.attempted_by[cardinality(j.attempted_by)] <> $3)`,
		ids, attempts, w.ID).Query(func(rows pgx.Rows) error {
		recalls, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Recall, err error) {
			err = row.Scan(&r.JobID, &r.Attempt, &r.Cancelled)
			return r, err
		})
		return err
	})
	if err := s.db.Pool().SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("heartbeat of %s: %w", w.ID, err)
	}
	s.db.Clock().Set(database, asked, s.db.Clock().Machine())
	return recalls, nil
}

// Retire removes the heartbeat of a worker that has stopped, so that what it still held is run
// again at once.
func (s *Store) Retire(ctx context.Context, id string) error {
	if _, err := s.db.Pool().Exec(ctx, `delete from workers where id = $1`, id); err != nil {
		return fmt.Errorf("retire worker %s: %w", id, err)
	}
	return nil
}

// Slots is how many jobs of a queue the live workers can run at once.
func Slots(ctx context.Context, tx pgx.Tx, queue string) (int, error) {
	var slots int
	err := tx.QueryRow(ctx, `select fleet_slots($1, make_interval(secs => $2))`, queue, LeaseSeconds).Scan(&slots)
	if err != nil {
		return 0, fmt.Errorf("count %s slots: %w", queue, err)
	}
	return slots, nil
}

// TrialSlots is how many shards the live workers can run at once.
func (s *Store) TrialSlots(ctx context.Context) (slots int, err error) {
	err = s.db.Pool().QueryRow(ctx, `select fleet_slots($1, make_interval(secs => $2))`, jobs.QueueTrials, LeaseSeconds).Scan(&slots)
	if err != nil {
		return 0, fmt.Errorf("count %s slots: %w", jobs.QueueTrials, err)
	}
	return slots, nil
}

// Works reports whether a worker that is heard works a queue by the rules of a result's stamp, whose semantics are ""
// where no script is involved.
func (s *Store) Works(ctx context.Context, queue string, stamp backtest.Stamp) (heard bool, err error) {
	err = s.db.Pool().QueryRow(ctx, `
		select exists (select from workers
		                where beat_at > clock_timestamp() - make_interval(secs => $1) and queues ? $2
		                  and coalesce(engine, '') = $3 and ($4 = '' or coalesce(semantics, '') = $4))`,
		LeaseSeconds, queue, stamp.Engine, stamp.Semantics).Scan(&heard)
	if err != nil {
		return false, fmt.Errorf("look for a worker of engine %s: %w", stamp.Engine, err)
	}
	return heard, nil
}

// Alike reports whether every worker that is heard is of this program's version.
func (s *Store) Alike(ctx context.Context) (alike bool, err error) {
	err = s.db.Pool().QueryRow(ctx, `
		select not exists (select from workers where beat_at > clock_timestamp() - make_interval(secs => $1) and version <> $2)`,
		LeaseSeconds, s.db.Version()).Scan(&alike)
	if err != nil {
		return false, fmt.Errorf("look for workers of another version: %w", err)
	}
	return alike, nil
}

// Forget removes heartbeats that have been silent for a day.
func (s *Store) Forget(ctx context.Context) error {
	_, err := s.db.Pool().Exec(ctx, `delete from workers where beat_at < clock_timestamp() - interval '1 day'`)
	if err != nil {
		return fmt.Errorf("forget silent workers: %w", err)
	}
	return nil
}
