package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/workers"
)

// RetentionFigures are what a retention job has done since it came to be, dry runs left out.
type RetentionFigures struct {
	Job     string
	Table   string
	OK      int64
	Failed  int64
	Deleted int64
	LastOK  time.Time // when a run last ended well; before the first: when the job came to be
}

// TableSize is what a table takes with its indexes and partitions.
type TableSize struct {
	Table string
	Bytes int64
}

// FleetFigures are measures of the fleet as a whole, as any process can take them.
type FleetFigures struct {
	Jobs          []eventlog.JobCount
	Workers       int // heard within a lease
	Retention     []RetentionFigures
	Tables        []TableSize
	Keys          IdempotencyState
	IngestPending int64
	Fleet         workers.State
	Demand        []QueueDemand
	Lost          []workers.LostWork // at most lostCounted
}

const lostCounted = 1000

// FleetFigures takes them. No part of it grows with the number of rows there are.
func (s *Store) FleetFigures(ctx context.Context) (FleetFigures, error) {
	var f FleetFigures
	counts, err := s.log.Counters(ctx, uuid.NullUUID{})
	if err != nil {
		return f, err
	}
	f.Jobs = counts.Jobs
	demand, err := s.demandOf(ctx, counts)
	if err != nil {
		return f, err
	}
	f.Demand = demand.Queues
	if f.Keys, err = s.IdempotencyState(ctx); err != nil {
		return f, err
	}
	ingestion, err := s.IngestionState(ctx)
	if err != nil {
		return f, err
	}
	f.IngestPending = ingestion.Pending
	if f.Fleet, err = s.workers.State(ctx); err != nil {
		return f, err
	}
	if f.Lost, err = s.workers.LostWork(ctx, lostCounted); err != nil {
		return f, err
	}
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`select count(*) from workers where beat_at > clock_timestamp() - make_interval(secs => $1)`, workers.LeaseSeconds).
			QueryRow(func(row pgx.Row) error { return row.Scan(&f.Workers) })
		// The log has a few rows a day and job, and keeps a year of them.
		batch.Queue(`
			select r.job_name, r.table_name,
			       r.past_ok + count(*) filter (where l.ok), r.past_failed + count(*) filter (where not l.ok),
			       (r.past_rows + coalesce(sum(l.rows_deleted), 0))::bigint,
			       coalesce(max(l.finished_at) filter (where l.ok), r.created_at)
			  from retention_rules r
			  left join retention_job_log l on l.job_name = r.job_name and not l.dry_run
			 group by r.job_name order by 1`).
			Query(func(rows pgx.Rows) (err error) {
				f.Retention, err = pgx.CollectRows(rows, pgx.RowToStructByPos[RetentionFigures])
				return err
			})
		batch.Queue(`
			select coalesce(p.relname, c.relname)::text, sum(pg_total_relation_size(c.oid))::bigint
			  from pg_class c
			  left join pg_inherits i on i.inhrelid = c.oid
			  left join pg_class p on p.oid = i.inhparent
			 where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
			 group by 1 order by 1`).
			Query(func(rows pgx.Rows) (err error) {
				f.Tables, err = pgx.CollectRows(rows, pgx.RowToStructByPos[TableSize])
				return err
			})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read the fleet's figures: %w", err)
		}
		return nil
	})
	return f, err
}
