package upkeep

import (
	"context"
	"fmt"
	"time"

	"millrace/store"

	"github.com/jackc/pgx/v5"
)

// RetentionJob is a retention job and how its runs have gone. Dry runs do not count: they delete
// nothing.
type RetentionJob struct {
	Name      string
	Table     string
	Schedule  string        // cron, UTC
	Age       time.Duration // what it deletes is older
	Since     time.Time     // when the job came to be: what was never run is missed from here on
	LastRunAt *time.Time
	LastOK    *time.Time
	Deleted   *int64 // by the last run
	Error     *string
	Failures  int // in a row, up to now
	Running   bool
	TableSize int64 // bytes, with indexes; 0 when the table is not there
}

// RetentionStatus is the state of retention, read in one transaction by the database's clock.
type RetentionStatus struct {
	Now       time.Time
	Scheduler string // pg_cron or river
	Jobs      []RetentionJob
}

// RetentionStatus reads it. A run whose session is gone counts as failed.
func (s *Store) RetentionStatus(ctx context.Context) (RetentionStatus, error) {
	var status RetentionStatus
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `select clock_timestamp(), retention_scheduler()`).Scan(&status.Now, &status.Scheduler)
		if err != nil {
			return fmt.Errorf("read the retention scheduler: %w", err)
		}
		rows, err := tx.Query(ctx, `
			select r.job_name as name, r.table_name as table, r.schedule, r.age, r.created_at as since,
			       last.started_at as last_run_at, good.finished_at as last_ok, last.rows_deleted as deleted,
			       coalesce(last.error, case when last.id is not null and last.ok is null and not held.running then 'interrupted' end) as error,
			       (select count(*) from retention_job_log l
			         where l.job_name = r.job_name and l.id > coalesce(good.id, 0) and not l.dry_run and l.started_at is not null
			           and (not l.ok or l.ok is null and not held.running)) as failures,
			       last.id is not null and last.ok is null and held.running as running,
			       coalesce(pg_total_relation_size(to_regclass(r.table_name)), 0)
			         + coalesce((select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = to_regclass(r.table_name)), 0) as table_size
			  from retention_rules r
			  left join lateral (select * from retention_job_log l where l.job_name = r.job_name and not l.dry_run and l.started_at is not null
			                      order by l.id desc limit 1) last on true
			  left join lateral (select * from retention_job_log l where l.job_name = r.job_name and not l.dry_run and l.ok
			                      order by l.id desc limit 1) good on true
			 cross join lateral (select last.id is not null and last.ok is null and retention_running(r.job_name) as running) held
			 order by r.schedule`)
		if err != nil {
			return fmt.Errorf("read retention status: %w", err)
		}
		status.Jobs, err = pgx.CollectRows(rows, pgx.RowToStructByName[RetentionJob])
		if err != nil {
			return fmt.Errorf("read retention status: %w", err)
		}
		return nil
	})
	return status, err
}

// ScheduleRetention brings pg_cron's table to the retention rules where pg_cron can run them, ends
// the log's entries of runs that nobody runs any more, and names the jobs that River has to make up
// for, as no scheduled run of theirs has begun for longer than a day. Repeating it changes nothing.
func (s *Store) ScheduleRetention(ctx context.Context) (scheduler string, overdue []string, err error) {
	if err := s.db.Pool().QueryRow(ctx, `select retention_reschedule()`).Scan(&scheduler); err != nil {
		return "", nil, fmt.Errorf("schedule retention: %w", err)
	}
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `select retention_reap(job_name) from retention_rules`); err != nil {
			return fmt.Errorf("end interrupted retention runs: %w", err)
		}
		rows, err := tx.Query(ctx, `
			select r.job_name from retention_rules r
			 where $1 = 'river'
			   and greatest(r.created_at, (select max(l.queued_at) from retention_job_log l
			                                where l.job_name = r.job_name and l.slot is not null))
			       < clock_timestamp() - interval '25 hours'
			 order by r.schedule`, scheduler)
		if err != nil {
			return fmt.Errorf("look for missed retention runs: %w", err)
		}
		if overdue, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("look for missed retention runs: %w", err)
		}
		return nil
	})
	return scheduler, overdue, err
}
