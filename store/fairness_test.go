package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store/market"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// Of what a workspace has in the queue only one shard, the first, goes ahead of others', and all its
// tunes together have no more there than one alone would.
func TestAWorkspaceHasOneShardAheadAndAWindowForAllItsTunes(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	_, err := d.store.Workers.Beat(ctx, workers.Worker{ID: "w", Queues: map[string]int{"trials": 4}}, nil, nil)
	require.NoError(t, err)
	_, err = d.owner.Exec(ctx, `update workers set beat_at = now() + interval '1 hour'`) // however slow the test is
	require.NoError(t, err)
	_, err = d.store.Tenants.ChangeWorkspace(ctx, d.space.ID, tenants.WorkspaceChange{TuneCap: ptr(8)})
	require.NoError(t, err)
	many := make([]sweep.Shard, 50)
	for i := range many {
		many[i] = sweep.Shard{Index: i, First: i, Trials: 1}
	}
	queued := func(id uuid.UUID) (priorities []int) {
		require.NoError(t, d.owner.QueryRow(ctx, `
			select array_agg(j.priority order by s.shard) from tune_shards s join river_job j on j.id = s.job_id
			 where s.tune_id = $1`, id).Scan(&priorities))
		return priorities
	}
	begin := func(key string) *tuning.Tune {
		tune, plan := d.tune(key)
		require.NoError(t, d.store.Tuning.Begin(ctx, d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: many}))
		return tune
	}
	lone := begin("lone")
	require.Equal(t, []int{1, 2, 2, 2, 2, 2}, queued(lone.ID), "four slots, one held ahead, and one more")
	_, err = d.store.Tuning.Cancel(ctx, d.space.ID, lone.ID)
	require.NoError(t, err)

	var plans []int
	var tunes []*tuning.Tune
	for i := range 8 {
		tune, plan := d.tune(fmt.Sprint(i))
		tunes = append(tunes, tune)
		var priority int
		require.NoError(t, d.owner.QueryRow(ctx, `select priority from river_job where id = $1`, plan).Scan(&priority))
		plans = append(plans, priority)
	}
	require.Equal(t, []int{1, 2, 2, 2, 2, 2, 2, 2}, plans)
	var all []int
	for _, tune := range tunes {
		var plan int64
		require.NoError(t, d.owner.QueryRow(ctx, `select plan_job_id from tunes where id = $1`, tune.ID).Scan(&plan))
		require.NoError(t, d.store.Tuning.Begin(ctx, d.claim(plan, "w"), tune.ID, tuning.Plan{Shards: many}))
		all = append(all, queued(tune.ID)...)
	}
	require.Equal(t, []int{1, 2, 2, 2, 2, 2, 2, 2}, all, "one for each, so that each continues")

	// Another workspace is not held back by any of it.
	other, err := d.store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	d.space = other
	d.dataset, err = d.store.Market.PutDataset(ctx, other.ID, market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: 252}, d.bars)
	require.NoError(t, err)
	require.Equal(t, 1, queued(begin("theirs").ID)[0])
}

// Whatever is submitted, cancelled and changed at once, no more is admitted than the cap allows, and
// in the end nothing waits for which there is room.
func TestTheCapHoldsUnderEverythingAtOnce(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	const most = 5
	var mu sync.Mutex
	var open []uuid.UUID
	take := func() (id uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		if len(open) > 0 {
			id, open = open[0], open[1:]
		}
		return id
	}
	var clients sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			for i := range 12 {
				switch {
				case i%3 < 2:
					tune, err := d.submit(fmt.Sprint(client, "-", i))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					open = append(open, tune.ID)
					mu.Unlock()
				case client == 0:
					if _, err := d.store.Tenants.ChangeWorkspace(ctx, d.space.ID, tenants.WorkspaceChange{TuneCap: ptr(2 + i%4)}); err != nil {
						t.Error(err)
						return
					}
				default:
					if id := take(); id != uuid.Nil {
						if _, err := d.store.Tuning.Cancel(ctx, d.space.ID, id); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}
		})
	}
	watched := make(chan struct{})
	go func() { clients.Wait(); close(watched) }()
	const admitted = `select count(*) filter (where admitted), count(*) filter (where not admitted) from tunes where status in ('queued', 'running')`
	var in, waiting int
	for running := true; running; {
		select {
		case <-watched:
			running = false
		default:
		}
		require.NoError(t, d.owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
		require.LessOrEqual(t, in, most)
	}
	_, err := d.store.Tenants.ChangeWorkspace(ctx, d.space.ID, tenants.WorkspaceChange{TuneCap: ptr(most)})
	require.NoError(t, err)
	require.NoError(t, d.owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
	require.Equal(t, most, in)
	require.Positive(t, waiting)
	for range in + waiting {
		_, err := d.store.Tuning.Cancel(ctx, d.space.ID, take())
		require.NoError(t, err)
		require.NoError(t, d.owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
		require.True(t, in == most || in < most && waiting == 0, "%d are in, %d wait", in, waiting)
	}
}

func ptr[T any](v T) *T { return &v }
