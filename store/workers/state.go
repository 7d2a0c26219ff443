package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
)

// QueueState is how a queue is served.
type QueueState struct {
	Queue   string
	Oldest  time.Duration // of the jobs that could be worked now; zero when none waits
	Workers int           // live workers that work it
}

// Documents reports whether the queue is that of documents.
func (q QueueState) Documents() bool { return q.Queue == jobs.QueueIngestion }

// ClockState is by how much a live worker's clock is off.
type ClockState struct {
	Worker string
	Ahead  time.Duration // negative: behind
}

// SilentWorker is a worker that neither signed off nor was heard within a lease.
type SilentWorker struct {
	Worker string
	For    time.Duration
}

// State is what the fleet's workers can and cannot do.
type State struct {
	Queues []QueueState
	Clocks []ClockState   // the worst first
	Silent []SilentWorker // the latest first
}

// State reads it. A queue is listed that a live worker works or whose jobs wait, also one that no worker has
// ever worked, which River does not list.
func (s *Store) State(ctx context.Context) (State, error) {
	var state State
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		// The four priorities are asked one by one, because the index has them in that order.
		batch.Queue(`
			with live as (select queues from workers where beat_at > clock_timestamp() - make_interval(secs => $1)),
			served as (select q as queue, count(*) as workers from live, jsonb_object_keys(queues) q group by q),
			known as (select queue from served union select name from river_queue union select unnest($2::text[]))
			select k.queue, coalesce(extract(epoch from clock_timestamp() - w.since), 0)::float8, coalesce(s.workers, 0)::int
			  from known k
			  left join served s on s.queue = k.queue
			  left join lateral (select min(j.scheduled_at) as since
			                       from generate_series(1, 4) p,
			                            lateral (select scheduled_at from river_job
			                                      where state = 'available' and queue = k.queue and priority = p
			                                      order by scheduled_at limit 1) j) w on true
			 where s.workers > 0 or w.since is not null
			 order by 1`, LeaseSeconds, jobs.Queues()).Query(func(rows pgx.Rows) (err error) {
			state.Queues, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q QueueState, err error) {
				var oldest float64
				err = row.Scan(&q.Queue, &oldest, &q.Workers)
				q.Oldest = time.Duration(max(0, oldest) * float64(time.Second))
				return q, err
			})
			return err
		})
		batch.Queue(`
			select id, clock_ahead_seconds from workers
			 where beat_at > clock_timestamp() - make_interval(secs => $1) order by abs(clock_ahead_seconds) desc`,
			LeaseSeconds).Query(func(rows pgx.Rows) (err error) {
			state.Clocks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c ClockState, err error) {
				var ahead float64
				err = row.Scan(&c.Worker, &ahead)
				c.Ahead = time.Duration(ahead * float64(time.Second))
				return c, err
			})
			return err
		})
		batch.Queue(`
			select id, extract(epoch from clock_timestamp() - beat_at)::float8 from workers
			 where beat_at <= clock_timestamp() - make_interval(secs => $1) order by beat_at desc limit 100`,
			LeaseSeconds).Query(func(rows pgx.Rows) (err error) {
			state.Silent, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (w SilentWorker, err error) {
				var seconds float64
				err = row.Scan(&w.Worker, &seconds)
				w.For = time.Duration(seconds * float64(time.Second))
				return w, err
			})
			return err
		})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read the state of the workers: %w", err)
		}
		return nil
	})
	return state, err
}
