package tuning_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

// What a tune ends with is made before its lock is taken, and meanwhile the tune may end otherwise, or be begun again.
func TestAnOutcomeOfATuneThatChangesMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"it fails":                    `update tunes set status = 'failed' where id = $1`,
		"another engine has begun it": `update tunes set engine = '98' where id = $1`,
		"other semantics hold":        `update tunes set semantics = '98' where id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			ctx := t.Context()
			tune, _ := d.Tune("changes")
			lease := d.ToCollect(tune.ID)
			d.Exec(`update tune_shards set stats = '\x01' where tune_id = $1`, tune.ID)
			tx, err := d.Owner.Begin(ctx)
			require.NoError(t, err)
			require.NoError(t, store.Lock(ctx, tx, tune.ID))
			completed := make(chan error, 1)
			go func() { completed <- d.Store.Tuning.Complete(ctx, lease, tune.ID, storetest.OutcomeOf(5)) }()
			d.AwaitBlocked()
			_, err = tx.Exec(ctx, change, tune.ID)
			require.NoError(t, err)
			require.NoError(t, tx.Commit(ctx))
			require.ErrorIs(t, <-completed, store.ErrEnded)
			require.Equal(t, 1, d.Count(`select count(*) from tune_shards where tune_id = $1 and stats is not null`, tune.ID), "what ranks it is gone")
			var leaders, ends int
			require.NoError(t, d.Owner.QueryRow(ctx, `
				select (select count(*) from tune_leaderboard where tune_id = $1),
				       (select count(*) from event_log where entity_id = $1::uuid::text and type = 'backtest.tune.completed')`, tune.ID).Scan(&leaders, &ends))
			require.Zero(t, leaders)
			require.Zero(t, ends)
		})
	}
}

func TestATuneThatCompletesAdmitsTheNext(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, _ := d.Tune("1")
	d.Tune("2")
	_, waiting := d.Tune("3")
	_, later := d.Tune("4")
	require.Equal(t, "pending", d.JobState(waiting))
	require.NoError(t, d.Store.Tuning.Complete(t.Context(), d.ToCollect(first.ID), first.ID, storetest.OutcomeOf(5)))
	require.Equal(t, "available", d.JobState(waiting))
	require.Equal(t, "pending", d.JobState(later), "it admits one")
}

func TestARunPlanEndsWithItsVariants(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	plan, tunes := runPlan(d, "plan", 2)
	for i, tune := range tunes {
		require.NoError(t, d.Store.Tuning.Complete(t.Context(), d.ToCollect(tune), tune, storetest.OutcomeOf(5)))
		require.Equal(t, i+1, d.Count(`select variants_done from run_plans where id = $1`, plan))
	}
	require.Equal(t, 1, d.Count(`select count(*) from run_plans where id = $1 and status = 'completed' and variants_failed = 0`, plan))
	require.Equal(t, []string{"backtest.tune.queued", "backtest.tune.running", "backtest.tune.progress", "backtest.tune.completed"}, d.EventTypes(tunes[1]))
}
