package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/tune"
	"millrace/store/tenants"
)

// A workspace that is let have twenty tunes of thousands of shards each running, and has just
// submitted them all, keeps the first shard of a small neighbour waiting for two of its shards at
// most: the one being run and one that the worker holds ahead.
func TestASmallWorkspaceWaitsForTwoShardsOfAHugeOne(t *testing.T) {
	r := newFixture(t).withSample()
	_, err := r.store.Tenants.ChangeWorkspace(t.Context(), r.alpha.ID, tenants.WorkspaceChange{TuneCap: ptr(20)})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, r.upload(r.other, "sp500", ohlcv.Sample()).status)
	const huge = `{"dataset":"sp500","strategy_name":"sma_cross","search_type":"random","n_trials":1000000,
		"param_space":{"fast":{"low":2,"high":1000},"slow":{"low":2,"high":2000}}}`
	for i := range 20 {
		require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", huge, "X-Idempotency-Key", fmt.Sprint(i)).status)
	}
	r.startSlots(jobs.Slots{jobs.QueueTrials: 1, jobs.QueueTunes: 1}, tune.Options{ShardTime: 100 * time.Millisecond})
	const done = `select count(*) from river_job where kind = 'tune.shard' and state = 'completed'
		and args ->> 'workspace_id' = '%s'`
	require.Eventually(t, func() bool { return r.count(fmt.Sprintf(done, r.alpha.ID)) > 0 }, 60*time.Second, 10*time.Millisecond)

	small := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "small", "Authorization", "Bearer "+r.other)
	submitted := time.Now()
	require.Equal(t, http.StatusAccepted, small.status, string(small.body))
	id := uuid.MustParse(strings.TrimPrefix(small.header.Get("Location"), "/backtests/tunes/"))
	require.Eventually(t, func() bool { return r.count(fmt.Sprintf(done, r.beta.ID)) > 0 }, 60*time.Second, 10*time.Millisecond)

	ahead := r.count(fmt.Sprintf(`
		with first as (select * from river_job where kind = 'tune.shard' and args ->> 'tune_id' = '%[1]s' order by finalized_at limit 1),
		     plan as (select j.* from river_job j join tunes t on t.plan_job_id = j.id where t.id = '%[1]s')
		select count(*) from river_job j, first, plan
		 where j.kind = 'tune.shard' and j.id <> first.id and j.finalized_at < first.finalized_at
		   and j.finalized_at > greatest(first.created_at, plan.finalized_at) -- it is there from then on`, id))
	require.LessOrEqual(t, ahead, 2, "shards of the neighbour that came first")
	// Its plan did not wait for those of the neighbour either.
	planned := r.count(fmt.Sprintf(`
		with own as (select j.* from river_job j join tunes t on t.plan_job_id = j.id where t.id = '%s')
		select count(*) from river_job j, own
		 where j.kind = 'tune.plan' and j.id <> own.id and j.finalized_at > '%s' and j.finalized_at < own.finalized_at`,
		id, submitted.UTC().Format(time.RFC3339Nano)))
	require.LessOrEqual(t, planned, 2, "plans of the neighbour that came first")
}
