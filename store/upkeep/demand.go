package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/workers"
)

// demandTunes is how many running tunes are looked at for shards that have no job yet. Each has a shard at
// least, so beyond them there is more to do than any fleet has slots.
const demandTunes = 1000

// QueueDemand is what a queue could use of workers, beside what it has.
type QueueDemand struct {
	Queue   string
	Waiting int64 // jobs that could be worked now, or soon again
	Running int64
	// Backlog is how many shards of running tunes are not done, those with a job included; a tune gives jobs to
	// no more than its share of the slots there are. Only queue trials has any.
	Backlog int64
	Slots   int // of live workers
	Workers int // live ones that work it
}

// Wanted is how many slots would have something to do at once.
func (d QueueDemand) Wanted() int64 { return max(d.Waiting+d.Running, d.Backlog) }

// Demand is what the queues could use of workers, every queue by name. AsOf is when the jobs were last counted.
type Demand struct {
	Queues []QueueDemand
	AsOf   time.Time
}

// Demand reads it from the counters; its cost does not grow with the number of jobs.
func (s *Store) Demand(ctx context.Context) (Demand, error) {
	counts, err := s.log.Counters(ctx, uuid.NullUUID{})
	if err != nil {
		return Demand{}, err
	}
	return s.demandOf(ctx, counts)
}

func (s *Store) demandOf(ctx context.Context, counts *eventlog.Counters) (Demand, error) {
	of := map[string]*QueueDemand{}
	queue := func(name string) *QueueDemand {
		if of[name] == nil {
			of[name] = &QueueDemand{Queue: name}
		}
		return of[name]
	}
	for _, name := range jobs.Queues() {
		queue(name)
	}
	for _, j := range counts.Jobs {
		switch q := queue(j.Queue); j.State {
		case "available", "retryable":
			q.Waiting += max(0, j.Jobs)
		case "running":
			q.Running += max(0, j.Jobs)
		}
	}
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`
			select q.key, sum(q.value::int)::int, count(*)::int from workers w, jsonb_each_text(w.queues) q
			 where w.beat_at > clock_timestamp() - make_interval(secs => $1) group by q.key`, workers.LeaseSeconds).
			Query(func(rows pgx.Rows) error {
				var name string
				var slots, live int
				_, err := pgx.ForEachRow(rows, []any{&name, &slots, &live}, func() error {
					queue(name).Slots, queue(name).Workers = slots, live
					return nil
				})
				return err
			})
		batch.Queue(`
			select coalesce(sum(greatest(p.shards - p.shards_done, 0)), 0)::bigint
			  from (select id from tunes where admitted and status in ('queued', 'running') limit $1) t
			  join tune_progress p on p.tune_id = t.id`, demandTunes).
			QueryRow(func(row pgx.Row) error { return row.Scan(&queue(jobs.QueueTrials).Backlog) })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read the demand for workers: %w", err)
		}
		return nil
	})
	demand := Demand{AsOf: counts.AsOf}
	for _, q := range of {
		demand.Queues = append(demand.Queues, *q)
	}
	slices.SortFunc(demand.Queues, func(a, b QueueDemand) int { return strings.Compare(a.Queue, b.Queue) })
	return demand, err
}
