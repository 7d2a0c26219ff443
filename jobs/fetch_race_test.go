package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"millrace/ops/routine"
	"millrace/store/pgtest"
)

const (
	raced    = 600 // jobs
	fetchers = 5
)

// race is fetchers that take jobs from one another until none is left.
type race struct {
	pool *pgxpool.Pool
	by   riverdriver.Executor

	mu      sync.Mutex
	fetched map[taken]span
	twice   []taken
	other   []string // queues that nobody fetches from
}

type taken struct {
	id      int64
	attempt int
}

// span is when a fetch began and ended.
type span struct{ from, to time.Time }

func newRace(t *testing.T) *race {
	t.Helper()
	db := pgtest.New(t)
	_, err := db.OwnerPool(t).Exec(t.Context(), `
		insert into river_job (id, kind, queue, state, priority, scheduled_at, max_attempts, args)
		select n, 'a', case when n <= $1::int then 'q' else 'elsewhere' end, 'available', 1 + n % 4, now() - make_interval(secs => n % 7), 30000,
		       jsonb_build_object('workspace_id', '11111111-1111-4111-8111-111111111111')
		  from generate_series(1, $1::int + 20) n`, raced)
	require.NoError(t, err)
	pool := workerPool(t, db, "enable_indexscan", "off", "enable_bitmapscan", "off") // no index sorts for the statement
	return &race{pool: pool, by: NewDriver(pool).GetExecutor(), fetched: map[taken]span{}}
}

// run has fetchers take jobs, and each end what it has taken, until none is left, while others update them.
func (r *race) run(t *testing.T, end func(context.Context, taken) error, updates ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	group, ctx := routine.NewGroup(ctx)
	var fetching atomic.Int32
	fetching.Store(fetchers)
	for range fetchers {
		group.Run(func() error {
			defer fetching.Add(-1)
			for left := true; left; {
				got, err := r.fetch(ctx)
				for _, one := range got {
					if err == nil {
						err = end(ctx, one)
					}
				}
				if err == nil {
					err = r.pool.QueryRow(ctx, `select exists (select from river_job where queue = 'q' and finalized_at is null)`).Scan(&left)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, update := range updates {
		group.Run(func() error {
			for fetching.Load() > 0 {
				if _, err := r.pool.Exec(ctx, update); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Empty(t, r.twice, "an attempt was fetched twice")
	require.Empty(t, r.other)
}

func (r *race) fetch(ctx context.Context) ([]taken, error) {
	from := time.Now()
	result, err := r.by.JobGetAvailable(ctx, &riverdriver.JobGetAvailableParams{ClientID: "me", MaxAttemptedBy: 100, MaxToLock: 5, Queue: "q"})
	if err != nil {
		return nil, err
	}
	during := span{from, time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []taken
	for _, job := range result.Jobs {
		one := taken{job.ID, job.Attempt}
		if _, again := r.fetched[one]; again || job.AttemptedBy[len(job.AttemptedBy)-1] != "me" || len(job.AttemptedBy) != job.Attempt {
			r.twice = append(r.twice, one)
		}
		if job.Queue != "q" {
			r.other = append(r.other, job.Queue)
		}
		r.fetched[one] = during
		got = append(got, one)
	}
	return got, nil
}

func (r *race) complete(ctx context.Context, one taken) error {
	tag, err := r.pool.Exec(ctx, `update river_job set state = 'completed', finalized_at = now() where id = $1 and state = 'running' and attempt = $2`, one.id, one.attempt)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("job %d is not running its attempt %d", one.id, one.attempt)
	}
	return err
}

// A job is not left where it is while one that comes after it is fetched: another has fetched it, or is about to.
func TestFetchersTakeJobsInOrder(t *testing.T) {
	t.Parallel()
	r := newRace(t)
	r.run(t, r.complete)
	var before time.Time // when the last of the fetches began that took what comes first
	for _, one := range r.rows(t, `select id, attempt from river_job where queue = 'q' order by priority, scheduled_at, id`) {
		at, ok := r.fetched[one]
		require.True(t, ok && one.attempt == 1, "job %d was not fetched", one.id)
		require.False(t, at.to.Before(before), "job %d was fetched before one that comes first", one.id)
		if at.from.After(before) {
			before = at.from
		}
	}
	require.Len(t, r.fetched, raced)
}

func (r *race) rows(t *testing.T, sql string) []taken {
	t.Helper()
	rows, err := r.pool.Query(t.Context(), sql)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one taken, err error) { return one, row.Scan(&one.id, &one.attempt) })
	require.NoError(t, err)
	return all
}

// Whatever is done to jobs beside their fetch, each attempt is fetched once, and every job comes to its end.
func TestAFetchLosesNothingThatOthersUpdate(t *testing.T) {
	t.Parallel()
	r := newRace(t)
	r.run(t, func(ctx context.Context, one taken) error {
		if one.attempt < 3 {
			_, err := r.pool.Exec(ctx, `update river_job set state = 'available', scheduled_at = now() where id = $1 and state = 'running' and attempt = $2`, one.id, one.attempt)
			return err
		}
		return r.complete(ctx, one)
	},
		`update river_job set priority = 5 - priority where queue = 'q' and state = 'available' and id % 3 = 0`,
		`update river_job set scheduled_at = now() + interval '1 ms' where id = (select id from river_job where queue = 'q' and state = 'available' and id % 3 = 1 limit 1 for update skip locked)`,
		`update river_job set state = 'cancelled', finalized_at = now() where id = (select id from river_job where queue = 'q' and state = 'available' and id % 20 = 0 and attempt < 2 limit 1 for update skip locked)`,
	)
	require.Empty(t, r.rows(t, `
		select id, attempt from river_job
		 where queue = 'q' and (state <> 'completed' or attempt <> 3) and (state <> 'cancelled' or id % 20 <> 0)`))
	for _, one := range r.rows(t, `select id, attempt from river_job where queue = 'q'`) {
		for n := range one.attempt {
			require.Contains(t, r.fetched, taken{one.id, n + 1})
			delete(r.fetched, taken{one.id, n + 1})
		}
	}
	require.Empty(t, slices.Collect(maps.Keys(r.fetched)), "an attempt that is not counted was fetched")
}
