package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// driver is River's driver for pgx, with statements of ours where River's take longer than a job's way needs.
type driver struct {
	*riverpgxv5.Driver
	pool    *pgxpool.Pool
	hints   *hints
	fetcher *fetcher // nil: fetches have a connection of the pool each
}

// NewDriver is the driver of clients of River that work nothing, or not for long.
func NewDriver(pool *pgxpool.Pool) riverdriver.Driver[pgx.Tx] { return newDriver(pool) }

// NewWorkingDriver is the driver of a worker's client. Its fetches have a connection beside those of the pool, see fetcher,
// until it is closed.
func NewWorkingDriver(pool *pgxpool.Pool) (working riverdriver.Driver[pgx.Tx], closed func()) {
	d := newDriver(pool)
	d.fetcher = newFetcher(pool)
	return d, d.fetcher.close
}

func newDriver(pool *pgxpool.Pool) *driver {
	return &driver{Driver: riverpgxv5.New(pool), pool: pool, hints: newHints(pool)}
}

// GetExecutor implements riverdriver.Driver.
func (d *driver) GetExecutor() riverdriver.Executor {
	return &executor{d.Driver.GetExecutor(), d}
}

// UnwrapExecutor implements riverdriver.Driver.
func (d *driver) UnwrapExecutor(tx pgx.Tx) riverdriver.ExecutorTx {
	within := &inserting{ExecutorTx: d.Driver.UnwrapExecutor(tx), tx: tx, driver: d}
	if known, ok := tx.(interface{ AfterCommit(fn func()) }); ok {
		within.afterCommit = known.AfterCommit
	}
	return within
}

// UnwrapTx implements riverdriver.Driver.
func (d *driver) UnwrapTx(of riverdriver.ExecutorTx) pgx.Tx {
	if ours, ok := of.(*inserting); ok {
		return ours.tx
	}
	return d.Driver.UnwrapTx(of)
}

type executor struct {
	riverdriver.Executor

	driver *driver
}

// Begin implements riverdriver.Executor.
func (e *executor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	within := &inserting{ExecutorTx: tx, tx: e.driver.Driver.UnwrapTx(tx), driver: e.driver}
	within.afterCommit = func(fn func()) { within.after = append(within.after, fn) }
	return within, nil
}

// completeMany completes jobs that are running, and returns what has become of each of those named. The holder's trigger
// decides for each whether it still is who completes it.
const completeMany = `
	with done as (
	    select unnest($1::bigint[]) as id, unnest($2::timestamptz[]) as at
	), completed as (
	    update river_job j set state = 'completed', finalized_at = d.at
	      from done d where j.id = d.id and j.state = 'running'
	    returning j.id, j.attempt, j.finalized_at
	)
	select id, attempt, 'completed', finalized_at from completed
	union all
	select j.id, j.attempt, j.state::text, j.finalized_at
	  from (select d.id from done d where d.id not in (select c.id from completed c)) other
	  join river_job j on j.id = other.id`

// JobSetStateIfRunningMany implements riverdriver.Executor. Nearly all batches are of completions alone, of which River's
// statement, made for every outcome, reads each column of each job twice. Only the columns that say what has become of a
// job are returned of them. What fails is left to River's, which names the error.
func (e *executor) JobSetStateIfRunningMany(ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	if at, only := completions(params); only {
		rows, err := e.driver.pool.Query(ctx, completeMany, params.ID, at)
		if err == nil {
			var done []*rivertype.JobRow
			done, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*rivertype.JobRow, error) {
				var job rivertype.JobRow
				err := row.Scan(&job.ID, &job.Attempt, &job.State, &job.FinalizedAt)
				if job.FinalizedAt != nil {
					*job.FinalizedAt = job.FinalizedAt.UTC()
				}
				return &job, err
			})
			if err == nil {
				return done, nil
			}
		}
	}
	return e.Executor.JobSetStateIfRunningMany(ctx, params)
}

// completions are the times of outcomes that are all completions, and whether they are.
func completions(params *riverdriver.JobSetStateIfRunningManyParams) (at []time.Time, only bool) {
	at = make([]time.Time, len(params.ID))
	for i := range params.ID {
		plain := params.State[i] == rivertype.JobStateCompleted && params.FinalizedAt[i] != nil && params.Attempt[i] == nil &&
			params.ErrData[i] == nil && params.ScheduledAt[i] == nil && !params.MetadataDoMerge[i]
		if !plain || params.Schema != "" {
			return nil, false
		}
		at[i] = *params.FinalizedAt[i]
	}
	return at, true
}
