package tuning_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// process is the store of one more API process on the fixture's database.
func process(d *storetest.Fixture) *stores.Set {
	d.T.Helper()
	var pools [2]*pgxpool.Pool
	for i, of := range []*pgxpool.Pool{d.Store.Pool(), d.Store.Workspaces()} {
		cfg := of.Config()
		cfg.MaxConns = 4
		pool, err := pgxpool.NewWithConfig(d.T.Context(), cfg)
		require.NoError(d.T, err)
		d.T.Cleanup(pool.Close)
		pools[i] = pool
	}
	client, err := jobs.NewInsertClient(pools[0], slog.New(slog.DiscardHandler))
	require.NoError(d.T, err)
	set := stores.New(pools[0], client)
	set.SetWorkspaces(pools[1])
	return set
}

func submitTrials(d *storetest.Fixture, st *stores.Set, key string, trials int) error {
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10}}}}
	spec.Normalize()
	_, err := st.Tuning.Create(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key, QueueDepth: 100_000},
		tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: trials},
		func(*tuning.Tune) (store.Response, error) { return store.Response{Status: http.StatusAccepted}, nil })
	return err
}

// Four processes submit at once, of each size: what is admitted is within the quota, and what is refused had no room.
func TestTheQuotaOfTrialsIsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	const limit, each = 100, 15
	_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: new(limit)}})
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var calls sync.WaitGroup
	admitted, refused := 0, []int{}
	for p := range 4 {
		st := process(d)
		for n := range each {
			trials := 1 + r.IntN(9)
			calls.Go(func() {
				err := submitTrials(d, st, fmt.Sprint(p, " ", n), trials)
				mu.Lock()
				defer mu.Unlock()
				var over *store.QuotaError
				switch {
				case err == nil:
					admitted += trials
				case errors.As(err, &over) && over.Used+over.Asked > over.Limit:
					refused = append(refused, trials)
				default:
					t.Error(err)
				}
			})
		}
	}
	calls.Wait()
	require.LessOrEqual(t, admitted, limit)
	require.NotEmpty(t, refused)
	for _, trials := range refused {
		require.Greater(t, trials, limit-admitted, "a tune was refused that there was room for")
	}
	require.Equal(t, admitted, d.Count(`select coalesce(sum(n_trials), 0) from tunes`), "what is refused stores nothing")
	has, err := d.Store.UsageOf(t.Context(), d.Space.ID)
	require.NoError(t, err)
	require.EqualValues(t, admitted, has.TrialsToday)
}

func TestTheQuotaOfTrialsIsThatOfTheDatabasesDay(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	over := func(err error) *store.QuotaError {
		t.Helper()
		var q *store.QuotaError
		require.ErrorAs(t, err, &q)
		return q
	}
	limit := func(trials int) {
		t.Helper()
		_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: &trials}})
		require.NoError(t, err)
	}
	today := func() int64 {
		t.Helper()
		has, err := d.Store.UsageOf(ctx, d.Space.ID)
		require.NoError(t, err)
		return has.TrialsToday
	}
	require.NoError(t, submitTrials(d, d.Store, "any", 1000), "without a quota")
	require.Equal(t, 0, d.Count(`select trials_used from workspaces where id = $1`, d.Space.ID), "without a quota nothing is counted")
	require.EqualValues(t, 1000, today())

	limit(1010) // in the middle of the day: what was submitted before counts
	q := over(submitTrials(d, d.Store, "more", 11))
	require.Equal(t, []int64{1000, 1010, 11}, []int64{q.Used, q.Limit, q.Asked})
	require.Equal(t, "trials_per_day", q.Quota)
	require.Positive(t, q.Again)
	require.LessOrEqual(t, q.Again, 24*time.Hour)
	require.NoError(t, submitTrials(d, d.Store, "more", 10), "its key is free, and the rest of the quota")
	require.NoError(t, submitTrials(d, d.Store, "more", 10), "what is answered again is counted once")
	require.EqualValues(t, 1010, today())

	d.Exec(`update workspaces set trials_day = trials_day - 1`)
	d.Exec(`update tunes set created_at = created_at - interval '1 day'`)
	require.Zero(t, today())
	require.NoError(t, submitTrials(d, d.Store, "tomorrow", 1010), "on the next day")
	_ = over(submitTrials(d, d.Store, "tomorrow 2", 1))

	limit(0)
	require.NoError(t, submitTrials(d, d.Store, "free", 5000))
	limit(6011)
	_ = over(submitTrials(d, d.Store, "last", 2))
	require.NoError(t, submitTrials(d, d.Store, "last", 1), "what was submitted while there was no quota counts")
}

// The trials of all folds that can be run count, and those of a run plan's variants one after the other.
func TestTheTrialsOfFoldsCountAgainstTheQuota(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	run, _ := d.WalkForward("1", 4, false)
	has, err := d.Store.UsageOf(t.Context(), d.Space.ID)
	require.NoError(t, err)
	require.EqualValues(t, 4*run.Trials, has.TrialsToday)
	_, err = d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: new(7 * run.Trials)}})
	require.NoError(t, err)
	d.WalkForward("2", 3, false)
	has, err = d.Store.UsageOf(t.Context(), d.Space.ID)
	require.NoError(t, err)
	require.EqualValues(t, 7*run.Trials, has.TrialsToday)
	var over *store.QuotaError
	require.ErrorAs(t, submitTrials(d, d.Store, "3", 1), &over)
}

// Submissions to a workspace without a quota join its queue together: one waits for no other. With one, they count
// one after the other.
func TestOnlyAWorkspaceWithAQuotaOfTrialsTakesSubmissionsOneByOne(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	require.NoError(t, submitTrials(d, d.Store, "1", 1))
	require.NoError(t, submitTrials(d, d.Store, "2", 1)) // the cap is taken
	held := d.Open(`select pg_advisory_xact_lock_shared(hashtextextended('millrace admission ' || '` + d.Space.ID.String() + `', 0))`)
	require.NoError(t, submitTrials(d, d.Store, "3", 1), "beside another submission")
	require.NoError(t, held.Rollback(t.Context()))
	_, err := d.Store.Tenants.ChangeWorkspace(t.Context(), d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: new(100)}})
	require.NoError(t, err)
	held = d.Open(`select pg_advisory_xact_lock_shared(hashtextextended('millrace admission ' || '` + d.Space.ID.String() + `', 0))`)
	done := make(chan error, 1)
	go func() { done <- submitTrials(d, d.Store, "4", 1) }()
	d.AwaitBlocked()
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, <-done)
}
