package tuning_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store/market"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// Of what a workspace has in the queue only one shard, the first, goes ahead of others', and all its
// tunes together have no more there than one alone would.
func TestAWorkspaceHasOneShardAheadAndAWindowForAllItsTunes(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, err := d.Store.Workers.Beat(ctx, workers.Worker{ID: "w", Queues: map[string]int{"trials": 4}}, nil, nil)
	require.NoError(t, err)
	_, err = d.Owner.Exec(ctx, `update workers set beat_at = now() + interval '1 hour'`) // however slow the test is
	require.NoError(t, err)
	_, err = d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{TuneCap: new(8)})
	require.NoError(t, err)
	many := make([]sweep.Shard, 50)
	for i := range many {
		many[i] = sweep.Shard{Index: i, First: i, Trials: 1}
	}
	queued := func(id uuid.UUID) (priorities []int) {
		require.NoError(t, d.Owner.QueryRow(ctx, `
			select array_agg(j.priority order by s.shard) from tune_shards s join river_job j on j.id = s.job_id
			 where s.tune_id = $1`, id).Scan(&priorities))
		return priorities
	}
	begin := func(key string) *tuning.Tune {
		tune, plan := d.Tune(key)
		require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: many}))
		return tune
	}
	lone := begin("lone")
	require.Equal(t, []int{1, 2, 2, 2, 2, 2}, queued(lone.ID), "four slots, one held ahead, and one more")
	_, err = d.Store.Tuning.Cancel(ctx, d.Space.ID, lone.ID)
	require.NoError(t, err)

	var plans []int
	var tunes []*tuning.Tune
	for i := range 8 {
		tune, plan := d.Tune(fmt.Sprint(i))
		tunes = append(tunes, tune)
		var priority int
		require.NoError(t, d.Owner.QueryRow(ctx, `select priority from river_job where id = $1`, plan).Scan(&priority))
		plans = append(plans, priority)
	}
	require.Equal(t, []int{1, 2, 2, 2, 2, 2, 2, 2}, plans)
	var all []int
	for _, tune := range tunes {
		var plan int64
		require.NoError(t, d.Owner.QueryRow(ctx, `select plan_job_id from tunes where id = $1`, tune.ID).Scan(&plan))
		require.NoError(t, d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{Shards: many}))
		all = append(all, queued(tune.ID)...)
	}
	require.Equal(t, []int{1, 2, 2, 2, 2, 2, 2, 2}, all, "one for each, so that each continues")

	// Another workspace is not held back by any of it.
	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	d.Space = other
	d.Dataset, err = d.Store.Market.PutDataset(ctx, other.ID, market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: 252}, d.Bars)
	require.NoError(t, err)
	require.Equal(t, 1, queued(begin("theirs").ID)[0])
}
