package jobs

import (
	"cmp"
	"context"
	"slices"
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

// became is what a batch of completions made of its jobs: what was returned, and what is stored.
type became struct {
	returned []stateOf
	stored   []stateOf
	events   []string
}

type stateOf struct {
	ID      int64
	Attempt int
	State   rivertype.JobState

	Finalized bool
}

// Ours stands in for River's statement, whatever has become of the jobs meanwhile.
func TestCompletionsAreWhatRiverMakesOfThem(t *testing.T) {
	t.Parallel()
	var got [2]became
	for i, driver := range []func(*pgxpool.Pool) riverdriver.Executor{
		func(pool *pgxpool.Pool) riverdriver.Executor { return riverpgxv5.New(pool).GetExecutor() },
		func(pool *pgxpool.Pool) riverdriver.Executor { return NewDriver(pool).GetExecutor() },
	} {
		db := pgtest.New(t)
		got[i] = completed(t, db, driver(workerPool(t, db)))
	}
	require.Equal(t, got[0], got[1])
	require.Equal(t, []stateOf{
		{1, 1, "completed", true},
		{2, 3, "completed", true},
		{3, 1, "completed", true},
		{4, 1, "cancelled", true},
		{5, 2, "available", false},
		{6, 1, "running", false},
	}, got[1].returned)
	require.Equal(t, []string{"job.completed 1", "job.completed 2", "zombie.refused 6"}, got[1].events)
}

// workerPool is one of a worker, so that the holder's trigger judges it.
func workerPool(t *testing.T, db *pgtest.DB, params ...string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	cfg.ConnConfig.RuntimeParams["role"] = "millrace_app"
	cfg.ConnConfig.RuntimeParams["millrace.worker"] = "me"
	for i := 0; i < len(params); i += 2 {
		cfg.ConnConfig.RuntimeParams[params[i]] = params[i+1]
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func completed(t *testing.T, db *pgtest.DB, by riverdriver.Executor) (all became) {
	t.Helper()
	owner := db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), `
		insert into river_job (id, kind, args, queue, max_attempts, state, attempt, attempted_at, attempted_by, finalized_at) values
		(1, 'test', '{}', 'q', 3, 'running', 1, now(), '{me}', null),
		(2, 'test', '{}', 'q', 3, 'running', 3, now(), '{other,me}', null),
		(3, 'test', '{}', 'q', 3, 'completed', 1, now(), '{me}', now()),
		(4, 'test', '{}', 'q', 3, 'cancelled', 1, now(), '{me}', now()),
		(5, 'test', '{}', 'q', 3, 'available', 2, now(), '{me}', null),
		(6, 'test', '{}', 'q', 3, 'running', 1, now(), '{other}', null);
		delete from event_log`)
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	params := &riverdriver.JobSetStateIfRunningManyParams{ID: []int64{1, 2, 3, 4, 5, 6, 7}}
	for range params.ID {
		params.Attempt = append(params.Attempt, nil)
		params.ErrData = append(params.ErrData, nil)
		params.FinalizedAt = append(params.FinalizedAt, &at)
		params.MetadataDoMerge = append(params.MetadataDoMerge, false)
		params.MetadataUpdates = append(params.MetadataUpdates, nil)
		params.ScheduledAt = append(params.ScheduledAt, nil)
		params.State = append(params.State, rivertype.JobStateCompleted)
	}
	rows, err := by.JobSetStateIfRunningMany(t.Context(), params)
	require.NoError(t, err)
	for _, job := range rows {
		all.returned = append(all.returned, stateOf{job.ID, job.Attempt, job.State, job.FinalizedAt != nil})
	}
	slices.SortFunc(all.returned, func(a, b stateOf) int { return cmp.Compare(a.ID, b.ID) })
	stored, err := owner.Query(t.Context(), `select id, attempt::int, state::text, finalized_at is not null from river_job order by id`)
	require.NoError(t, err)
	all.stored, err = pgx.CollectRows(stored, pgx.RowToStructByPos[stateOf])
	require.NoError(t, err)
	events, err := owner.Query(t.Context(), `
		select type || ' ' || coalesce(entity_id, array_to_string(array(select unnest(job_ids) order by 1), ' ')) from event_log order by 1`)
	require.NoError(t, err)
	all.events, err = pgx.CollectRows(events, pgx.RowTo[string])
	require.NoError(t, err)
	var finalized int
	require.NoError(t, owner.QueryRow(t.Context(), `select count(*) from river_job where finalized_at = $1`, at).Scan(&finalized))
	require.Equal(t, 2, finalized)
	return all
}

// Outcomes that are not all completions are River's own business, and so is what fails.
func TestOtherOutcomesAreLeftToRiver(t *testing.T) {
	t.Parallel()
	at := time.Now()
	plain := func() *riverdriver.JobSetStateIfRunningManyParams {
		return &riverdriver.JobSetStateIfRunningManyParams{
			ID: []int64{1}, Attempt: []*int{nil}, ErrData: [][]byte{nil}, FinalizedAt: []*time.Time{&at}, MetadataDoMerge: []bool{false},
			MetadataUpdates: [][]byte{nil}, ScheduledAt: []*time.Time{nil}, State: []rivertype.JobState{rivertype.JobStateCompleted},
		}
	}
	_, only := completions(plain())
	require.True(t, only)
	for name, change := range map[string]func(*riverdriver.JobSetStateIfRunningManyParams){
		"attempt":   func(p *riverdriver.JobSetStateIfRunningManyParams) { p.Attempt[0] = new(1) },
		"error":     func(p *riverdriver.JobSetStateIfRunningManyParams) { p.ErrData[0] = []byte(`{}`) },
		"metadata":  func(p *riverdriver.JobSetStateIfRunningManyParams) { p.MetadataDoMerge[0] = true },
		"scheduled": func(p *riverdriver.JobSetStateIfRunningManyParams) { p.ScheduledAt[0] = &at },
		"state":     func(p *riverdriver.JobSetStateIfRunningManyParams) { p.State[0] = rivertype.JobStateCancelled },
		"time":      func(p *riverdriver.JobSetStateIfRunningManyParams) { p.FinalizedAt[0] = nil },
		"schema":    func(p *riverdriver.JobSetStateIfRunningManyParams) { p.Schema = "other" },
	} {
		params := plain()
		change(params)
		_, only := completions(params)
		require.False(t, only, name)
	}
	pool := pgtest.New(t).Pool(t)
	pool.Close()
	_, err := NewDriver(pool).GetExecutor().JobSetStateIfRunningMany(context.Background(), plain())
	require.ErrorIs(t, err, riverdriver.ErrClosedPool)
}

// River's pages read through the transaction of a connection that the driver began itself.
func TestATransactionThatRiverBeginsCanBeUnwrapped(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	driver := NewDriver(workerPool(t, db))
	outer, err := driver.GetExecutor().Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, outer.Rollback(context.Background())) }()
	inner, err := outer.Begin(t.Context())
	require.NoError(t, err)
	for _, of := range []riverdriver.ExecutorTx{outer, inner} {
		tx := driver.UnwrapTx(of)
		require.NotNil(t, tx)
		found, err := driver.UnwrapExecutor(tx).QueueNameList(t.Context(), &riverdriver.QueueNameListParams{Max: 1})
		require.NoError(t, err)
		require.Empty(t, found)
	}
}
