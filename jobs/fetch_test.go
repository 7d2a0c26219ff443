package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// fetched is what fetches returned, one after the other, and what is stored then.
type fetched struct {
	returned [][]*rivertype.JobRow
	broken   []map[int64]error
	stored   []string
	events   []string
}

// Ours stands in for River's statement, whatever the jobs are.
func TestFetchesAreWhatRiverMakesOfThem(t *testing.T) {
	t.Parallel()
	var got [2]fetched
	for i, driver := range []func(*pgxpool.Pool) riverdriver.Executor{
		func(pool *pgxpool.Pool) riverdriver.Executor { return riverpgxv5.New(pool).GetExecutor() },
		func(pool *pgxpool.Pool) riverdriver.Executor { return NewDriver(pool).GetExecutor() },
	} {
		db := pgtest.New(t)
		got[i] = fetch(t, db, driver(workerPool(t, db)))
	}
	require.Equal(t, got[0], got[1])
	var order [][]int64
	for _, jobs := range got[1].returned {
		var ids []int64
		for _, job := range jobs {
			ids = append(ids, job.ID)
		}
		order = append(order, ids)
	}
	require.Equal(t, [][]int64{{3}, {1, 4}, {9}, {10}, {11}, nil}, order)
	require.Equal(t, []string{"you", "they", "me"}, got[1].returned[1][1].AttemptedBy)
	require.Equal(t, "5: scheduled", got[1].stored[4])
}

func fetch(t *testing.T, db *pgtest.DB, by riverdriver.Executor) (all fetched) {
	t.Helper()
	owner := db.OwnerPool(t)
	now := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	_, err := owner.Exec(t.Context(), `
		insert into river_job (id, kind, queue, state, priority, created_at, scheduled_at, finalized_at, attempt, attempted_by, max_attempts, args, metadata, tags, errors, unique_key, unique_states)
		select id, kind, queue, state::river_job_state, priority, $1::timestamptz, $1::timestamptz + scheduled, case when state = 'completed' then $1::timestamptz end, attempt, attempted_by, 5,
		       jsonb_build_object('workspace_id', '11111111-1111-4111-8111-111111111111', 'n', id), '{"a": "b"}', '{x,y}', errors, unique_key, case when unique_key is not null then b'11110101' end
		  from (values
		       (1, 'a', 'q', 'available', 2, interval '-1 h', 0, null::text[], null::jsonb[], null::bytea),
		       (2, 'a', 'q', 'running', 1, '-1 h', 1, '{you}', null, null),
		       (3, 'b', 'q', 'available', 1, '-1 m', 0, '{}', null, '\x0102'),
		       (4, 'a', 'q', 'available', 2, '-1 m', 3, '{gone,you,they}',
		        array['{"at": "2026-03-04T01:02:03Z", "attempt": 3, "error": "no", "trace": "t"}'::jsonb], null),
		       (5, 'a', 'q', 'scheduled', 1, '-1 m', 0, null, null, null),
		       (6, 'a', 'q', 'completed', 1, '-1 h', 1, '{you}', null, null),
		       (7, 'a', 'q', 'available', 1, '1 h', 0, null, null, null),
		       (8, 'a', 'other', 'available', 1, '-1 h', 0, null, null, null),
		       (9, 'c', 'q', 'available', 3, '-1 h', 0, null, array['{"attempt": "no number"}'::jsonb], null),
		       (10, 'a', 'q', 'available', 3, '-1 s', 0, null, null, null),
		       (11, 'a', 'held', 'available', 1, '-1 h', 0, null, null, null),
		       (12, 'a', 'held', 'available', 1, '-2 h', 0, null, null, null)
		       ) j (id, kind, queue, state, priority, scheduled, attempt, attempted_by, errors, unique_key)`, now)
	require.NoError(t, err)
	tx, err := owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `select from river_job where id = 12 for update`) // as another that fetches it
	require.NoError(t, err)
	for _, of := range []struct {
		queue string
		kind  []string
		most  int
	}{{"q", nil, 1}, {"q", []string{"a"}, 2}, {"q", nil, 1}, {"q", nil, 9}, {"held", nil, 9}, {"none", nil, 9}} {
		result, err := by.JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
			ClientID: "me", Kind: of.kind, MaxAttemptedBy: 3, MaxToLock: of.most, Now: &now, Queue: of.queue,
		})
		require.NoError(t, err)
		slices.SortFunc(result.Jobs, func(a, b *rivertype.JobRow) int { return cmp.Compare(a.ID, b.ID) })
		all.returned = append(all.returned, append([]*rivertype.JobRow(nil), result.Jobs...))
		all.broken = append(all.broken, result.DecodeErrors)
	}
	for _, of := range []struct {
		sql  string
		into *[]string
	}{
		{`select id || ': ' || state from river_job order by id`, &all.stored},
		{`select type || ' ' || array_to_string(array(select unnest(job_ids) order by 1), ' ') from event_log where payload ? 'from' order by 1`, &all.events},
	} {
		rows, err := owner.Query(t.Context(), of.sql)
		require.NoError(t, err)
		*of.into, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return all
}

// Without a time of the caller's, the database's decides.
func TestAFetchGoesByTheDatabasesTime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, err := db.OwnerPool(t).Exec(t.Context(), `
		insert into river_job (id, kind, state, scheduled_at, max_attempts, args)
		values (1, 'a', 'available', now() - interval '1 s', 5, '{}'), (2, 'a', 'available', now() + interval '1 h', 5, '{}')`)
	require.NoError(t, err)
	result, err := NewDriver(workerPool(t, db)).GetExecutor().JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "me", MaxAttemptedBy: 3, MaxToLock: 5, Queue: "default",
	})
	require.NoError(t, err)
	require.Len(t, result.Jobs, 1)
	require.EqualValues(t, 1, result.Jobs[0].ID)
	require.NotNil(t, result.Jobs[0].AttemptedAt)
	require.Equal(t, 1, result.Jobs[0].Attempt)
}

// recorded keeps the statement that River would run.
type recorded struct {
	pgx.Tx

	sql string
}

func (*recorded) Conn() *pgx.Conn { return nil }

func (r *recorded) Query(_ context.Context, sql string, _ ...any) (pgx.Rows, error) {
	r.sql = sql
	return nil, errOneStatement
}

// Ours has the parameters and the columns of the statement of this version of River. When another comes, compare them, and
// write down what the new one is.
func TestTheFetchIsTheOneThatOursStandsInFor(t *testing.T) {
	t.Parallel()
	river := &recorded{}
	_, err := riverpgxv5.New(nil).UnwrapExecutor(river).JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{})
	require.ErrorIs(t, err, errOneStatement)
	require.True(t, strings.HasPrefix(river.sql, riverFetch))
	require.Equal(t, "c7eb86752925357038dd206a3bc8b8b442206254e316722f27662187e6116093", fmt.Sprintf("%x", sha256.Sum256([]byte(river.sql))))
}

// What is not a fetch with the parameters of River's is run as it is.
func TestAnotherStatementThanTheFetchIsRunAsItIs(t *testing.T) {
	t.Parallel()
	rows, err := (&fetching{on: pgtest.New(t).Pool(t)}).Query(t.Context(), riverFetch+`select $1::int`, 7)
	require.NoError(t, err)
	got, err := pgx.CollectOneRow(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Equal(t, 7, got)
}
