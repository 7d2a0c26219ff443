package upkeep

import (
	"context"
	"fmt"
	"time"

	"millrace/jobs"
	"millrace/ops/routine"
	"millrace/store"

	"github.com/jackc/pgx/v5"
)

// Prune is one run of a retention job; migrations/sql/0028_retention.sql holds what it does.
type Prune struct {
	Job       string         // a job_name of retention_rules
	Age       *time.Duration // nil: the rule's
	BatchSize int            // at most so many rows a transaction; 100 to 100,000
	DryRun    bool           // count only
	Source    string         // river, admin or sql
	Entry     *int64         // of the log, when the run was asked for; nil: the run makes its own
}

// Pruned is what a run came to. Entry is 0 when there was nothing to do: the run is another
// scheduler's, or was made before.
type Pruned struct {
	Deleted int64
	Entry   int64
}

// Prune runs a retention job, batch by batch, until it is done; it takes no longer transaction than a
// batch. ErrRunning when another session runs the same job. When ctx ends the run stops after the
// running batch, and its entry in the log stays open for the attempt that takes it up again.
func (s *Store) Prune(ctx context.Context, p Prune) (Pruned, error) {
	conn, err := s.db.Pool().Acquire(ctx)
	if err != nil {
		return Pruned{}, fmt.Errorf("prune %s: %w", p.Job, err)
	}
	defer conn.Release()
	// An ended context would only drop the connection, and the server would go on by itself.
	stop := routine.OnDone(ctx, func() {
		cancel, done := context.WithTimeout(context.WithoutCancel(ctx), store.AnswerWithin)
		defer done()
		_ = conn.Conn().PgConn().CancelRequest(cancel) // without it the run ends by itself, later
	})
	defer stop()
	// The run is one statement of many transactions; each of them is bounded by itself.
	if _, err := conn.Exec(ctx, `set statement_timeout = 0`); err != nil {
		return Pruned{}, fmt.Errorf("prune %s: %w", p.Job, err)
	}
	var pruned Pruned
	var entry *int64
	err = conn.QueryRow(context.WithoutCancel(ctx), `call retention_run($1, $2, $3, $4, $5, 0, $6)`,
		p.Job, p.Age, p.BatchSize, p.DryRun, p.Source, p.Entry).Scan(&pruned.Deleted, &entry)
	if err != nil {
		// The run's lock goes with its session, should the run not have come to release it.
		_ = conn.Conn().Close(context.WithoutCancel(ctx))
	} else if _, reset := conn.Exec(context.WithoutCancel(ctx), `reset statement_timeout`); reset != nil {
		_ = conn.Conn().Close(context.WithoutCancel(ctx)) // the run is over all the same
	}
	switch {
	case ctx.Err() != nil:
		return pruned, fmt.Errorf("prune %s: %w", p.Job, ctx.Err())
	case store.SQLState(err) == store.ObjectInUse:
		return pruned, fmt.Errorf("prune %s: %w", p.Job, store.ErrRunning)
	case err != nil:
		return pruned, fmt.Errorf("prune %s: %w", p.Job, err)
	}
	if entry != nil {
		pruned.Entry = *entry
	}
	return pruned, nil
}

// RetentionRun is an entry of the retention log.
type RetentionRun struct {
	ID         int64
	Job        string `db:"job_name"`
	Source     string // pg_cron, river, admin or sql
	QueuedAt   time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	DryRun     bool
	BatchSize  int
	CutoffAt   *time.Time `db:"cutoff_ts"`
	Deleted    int64      `db:"rows_deleted"` // of a dry run: rows that would have been
	Batches    int
	LongestMS  float64 // the longest transaction
	OK         *bool
	Error      *string
}

const retentionColumns = `id, job_name, source, queued_at, started_at, finished_at, dry_run, batch_size,
	cutoff_ts, rows_deleted, batches, longest_ms, ok, error`

// RequestPrune asks for a run on behalf of an admin, in the transaction of the submission. ErrRunning
// while a run of the job is queued or running.
func (s *Store) RequestPrune(ctx context.Context, sub store.Submission, p Prune,
	respond func(RetentionRun) (store.Response, error),
) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('millrace retention request ' || $1, 0))`, p.Job)
		if err != nil {
			return store.Response{}, fmt.Errorf("lock requests of %s: %w", p.Job, err)
		}
		if _, err := tx.Exec(ctx, `select retention_reap($1)`, p.Job); err != nil {
			return store.Response{}, fmt.Errorf("end interrupted runs of %s: %w", p.Job, err)
		}
		var open bool
		err = tx.QueryRow(ctx, `
			select exists (select from retention_job_log where job_name = $1 and finished_at is null)
			    or retention_running($1)`, p.Job).Scan(&open)
		if err != nil {
			return store.Response{}, fmt.Errorf("look for a run of %s: %w", p.Job, err)
		}
		if open {
			return store.Response{}, fmt.Errorf("prune %s: %w", p.Job, store.ErrRunning)
		}
		run, err := s.enqueuePrune(ctx, tx, p)
		if err != nil {
			return store.Response{}, err
		}
		return respond(run)
	})
}

// RetentionLocation is where the API shows an entry of the log.
func RetentionLocation(entry int64) string { return fmt.Sprintf("/admin/retention/logs/%d", entry) }

func (s *Store) enqueuePrune(ctx context.Context, tx pgx.Tx, p Prune) (RetentionRun, error) {
	rows, err := tx.Query(ctx, `
		insert into retention_job_log (job_name, source, dry_run, age, batch_size)
		select job_name, 'admin', $2, coalesce($3, age), $4 from retention_rules where job_name = $1
		returning `+retentionColumns, p.Job, p.DryRun, p.Age, p.BatchSize)
	if err != nil {
		return RetentionRun{}, fmt.Errorf("log the request: %w", err)
	}
	run, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[RetentionRun])
	if err != nil {
		return RetentionRun{}, fmt.Errorf("log the request: %w", err)
	}
	inserted, err := s.db.River().InsertTx(ctx, tx, jobs.PruneArgs{Job: p.Job, Entry: run.ID}, nil)
	if err != nil {
		return RetentionRun{}, fmt.Errorf("insert the prune job: %w", err)
	}
	_, err = tx.Exec(ctx, `
		with noted as (update retention_job_log set river_job_id = $2 where id = $1 returning id)
		select retention_event(id, 'queued') from noted`, run.ID, inserted.Job.ID)
	if err != nil {
		return RetentionRun{}, fmt.Errorf("note the prune job: %w", err)
	}
	return run, nil
}

// RetentionLog lists entries of the log, newest first, of one job or of all when job is empty, from
// before an entry on when before is not 0.
func (s *Store) RetentionLog(ctx context.Context, job string, before int64, limit int) ([]RetentionRun, error) {
	var runs []RetentionRun
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+retentionColumns+` from retention_job_log
			 where ($1 = '' or job_name = $1) and ($2::bigint = 0 or id < $2)
			 order by id desc limit $3`, job, before, limit)
		if err != nil {
			return fmt.Errorf("read retention log: %w", err)
		}
		runs, err = pgx.CollectRows(rows, pgx.RowToStructByName[RetentionRun])
		if err != nil {
			return fmt.Errorf("read retention log: %w", err)
		}
		return nil
	})
	return runs, err
}

// RetentionRun reads one entry of the log, or ErrNotFound.
func (s *Store) RetentionRun(ctx context.Context, entry int64) (RetentionRun, error) {
	runs, err := s.RetentionLog(ctx, "", entry+1, 1)
	if err != nil {
		return RetentionRun{}, err
	}
	if len(runs) == 0 || runs[0].ID != entry {
		return RetentionRun{}, fmt.Errorf("retention log entry %d: %w", entry, store.ErrNotFound)
	}
	return runs[0], nil
}

// What starts a retention job.
const (
	SourceCron  = "pg_cron"
	SourceRiver = "river"
	SourceAdmin = "admin"
	SourceSQL   = "sql"
)

// Sources lists what starts a retention job.
func Sources() []string { return []string{SourceCron, SourceRiver, SourceAdmin, SourceSQL} }
