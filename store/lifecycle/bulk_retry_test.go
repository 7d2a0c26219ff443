package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

func TestAFilterRetriesWhatFailedOrWasCancelled(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	var tunes []uuid.UUID
	for i := range 4 {
		tune, _ := d.Tune(fmt.Sprint(i))
		tunes = append(tunes, tune.ID)
	}
	wfo, _ := d.WalkForward("w", 2, false)
	plan, variants := runPlan(d, "p", 2)
	all := func(kind lifecycle.Kind, action lifecycle.Action, confirm int) int {
		done, err := d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{Kind: kind, Action: action, Confirm: confirm})
		require.NoError(t, err, "%s %s", action, kind)
		return done.Changed
	}
	require.Equal(t, 1, all(lifecycle.WalkForward, lifecycle.CancelAll, 1))
	require.Equal(t, 1, all(lifecycle.RunPlan, lifecycle.CancelAll, 1))
	require.Equal(t, 4, all(lifecycle.Tune, lifecycle.CancelAll, 4))
	for _, kind := range []lifecycle.Kind{lifecycle.Tune, lifecycle.WalkForward, lifecycle.RunPlan} {
		found, err := d.Store.Lifecycle.Match(ctx, d.Space.ID, lifecycle.Bulk{Kind: kind, Action: lifecycle.CancelAll})
		require.NoError(t, err)
		require.Empty(t, found, kind)
	}
	require.Equal(t, 1, all(lifecycle.RunPlan, lifecycle.RetryAll, 1))
	require.Equal(t, 1, all(lifecycle.WalkForward, lifecycle.RetryAll, 1))
	require.Equal(t, tuning.Queued, d.TuneStatus(variants[1].TuneID))
	require.Equal(t, walkforward.Pending, d.WalkForwardNow(wfo.ID).Status)
	got, _, err := d.Store.Tuning.RunPlan(ctx, d.Space.ID, plan)
	require.NoError(t, err)
	require.Equal(t, tuning.RunPlanRunning, got.Status)

	full := lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.RetryAll, Confirm: 4, Depth: 6}
	_, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, full)
	require.ErrorIs(t, err, store.ErrQueueFull)
	require.Equal(t, tuning.Canceled, d.TuneStatus(tunes[0]), "what would be refused in part is refused as a whole")
	require.Equal(t, 4, all(lifecycle.Tune, lifecycle.RetryAll, 4))
	require.Equal(t, []string{"backtest.tune.queued", "backtest.tune.canceled", "backtest.tune.queued"}, d.EventTypes(tunes[3]))
	require.Equal(t, 2, d.Count(`select (select count(*) from tunes where admitted and wfo_id is null and status = 'queued') + (select count(*) from wfo_runs where admitted)`),
		"the cap holds")
	lost, err := d.Store.Workers.LostWork(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, lost)
}

// A request whose answer was lost half-way continues where it was when it is sent again, and then has its answer.
func TestAChangeOfManyContinuesWhereItsAnswerWasLost(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	const many = 2500
	waiting(d, many)
	sub := store.Submission{Workspace: d.Space.ID, Route: "POST /bulk", Key: "k"}
	bulk := lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.CancelAll, Confirm: many}
	var done []lifecycle.BulkDone
	cancelAll := func(ctx context.Context, sub store.Submission) (store.Response, error) {
		return d.Store.Lifecycle.BulkOnce(ctx, sub, bulk, func(b lifecycle.BulkDone) (store.Response, error) {
			done = append(done, b)
			return store.Response{Status: 200, Body: fmt.Appendf(nil, "%d of %d", b.Changed, b.Matched)}, nil
		})
	}
	// The third step fails, which leaves what a lost answer does.
	d.Exec(`create function no_third() returns trigger language plpgsql as $$
		begin
			if (select count(*) from tunes where status = 'canceled') > 2000 then
				raise exception 'cut';
			end if;
			return null;
		end $$`)
	d.Exec(`create trigger no_third after update on tunes for each statement execute function no_third()`)
	_, err := cancelAll(t.Context(), sub)
	require.ErrorContains(t, err, "cut")
	require.Equal(t, 2000, d.Count(`select count(*) from tunes where status = 'canceled'`))
	d.Exec(`drop trigger no_third on tunes`)

	_, err = d.Store.Replay(t.Context(), sub)
	require.ErrorIs(t, err, store.ErrNotFound, "it is not done")
	other := sub
	other.Fingerprint[0] = 1
	_, err = cancelAll(t.Context(), other)
	require.ErrorIs(t, err, store.ErrKeyReused)
	resp, err := cancelAll(t.Context(), sub)
	require.NoError(t, err)
	require.Equal(t, "2500 of 2500", string(resp.Body))
	require.Equal(t, []lifecycle.BulkDone{{Matched: many, Changed: many}}, done)
	require.Equal(t, many, d.Count(`select count(*) from tunes where status = 'canceled'`))
	again, err := cancelAll(t.Context(), sub)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, resp.Body, again.Body)
	require.Len(t, done, 1)

	unconfirmed := sub
	unconfirmed.Key = "other"
	_, err = cancelAll(t.Context(), unconfirmed)
	require.True(t, errors.As(err, new(*lifecycle.UnconfirmedError)), "another request finds none")
	require.Zero(t, d.Count(`select count(*) from idempotency_keys where key = 'other'`), "what is refused keeps no key")

	_, err = d.Store.Lifecycle.Bulk(t.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.RetryAll, Confirm: many, Depth: 1200})
	require.ErrorIs(t, err, store.ErrQueueFull)
	require.Zero(t, d.Count(`select count(*) from tunes where status = 'queued'`), "a retry of more than the queue has room for is refused as a whole")
}

// waiting makes tunes that wait for the cap of their workspace.
func waiting(d *storetest.Fixture, many int) {
	first, _ := d.Tune("first")
	d.Exec(`update tunes set status = 'completed' where status = 'queued'`)
	wait(d, first.ID, many)
}

func wait(d *storetest.Fixture, like uuid.UUID, many int) {
	d.Exec(`
		with made as (
			insert into river_job (kind, args, queue, priority, max_attempts, state)
			select 'tune.plan', jsonb_build_object('workspace_id', $1::uuid, 'n', n), 'tunes', 2, 8, 'pending' from generate_series(1, $3) n
			returning id, (args ->> 'n')::int as n)
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, admitted, plan_job_id, n_trials)
		select gen_random_uuid(), workspace_id, dataset_id, strategy, objective, search_type, spec, false, made.id, n_trials
		  from tunes, made where tunes.id = $2`, d.Space.ID, like, many)
	d.Exec(`analyze tunes, river_job`)
}

// BenchmarkOfMany cancels, retries and deletes 10,000 tunes by a filter, in that order: the goal of each is 2 s.
func BenchmarkOfMany(b *testing.B) {
	d := storetest.New(b)
	const many = 10_000
	first, _ := d.Tune("first")
	spent := map[lifecycle.Action]float64{}
	for b.Loop() {
		b.StopTimer()
		d.Exec(`update tunes set status = 'completed' where status = 'queued'`)
		wait(d, first.ID, many)
		b.StartTimer()
		for _, action := range []lifecycle.Action{lifecycle.CancelAll, lifecycle.RetryAll, lifecycle.TagAll, lifecycle.CancelAll, lifecycle.DeleteAll} {
			before := b.Elapsed()
			filter := lifecycle.Filter{Status: map[lifecycle.Action]string{lifecycle.TagAll: "queued", lifecycle.DeleteAll: "canceled"}[action]}
			done, err := d.Store.Lifecycle.Bulk(b.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: action, Confirm: matched(b, d, action, filter), Filter: filter, Tags: []string{"x"}})
			require.NoError(b, err)
			require.GreaterOrEqual(b, done.Changed, many)
			spent[action] += (b.Elapsed() - before).Seconds()
		}
	}
	for action, seconds := range spent {
		if action == lifecycle.CancelAll {
			seconds /= 2
		}
		b.ReportMetric(seconds/float64(b.N), string(action)+"-s")
	}
}

func matched(b *testing.B, d *storetest.Fixture, action lifecycle.Action, filter lifecycle.Filter) int {
	b.Helper()
	ids, err := d.Store.Lifecycle.Match(b.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: action, Filter: filter})
	require.NoError(b, err)
	return len(ids)
}

// What has room for a part only is refused before the first step, whose effects would stay.
func TestARetryOfManyIsRefusedAsAWholeWhereAPartHasRoom(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	retryAll := func(d *storetest.Fixture, kind lifecycle.Kind, confirm, depth int) error {
		_, err := d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{Kind: kind, Action: lifecycle.RetryAll, Confirm: confirm, Depth: depth})
		return err
	}
	t.Run("trials", func(t *testing.T) {
		t.Parallel()
		d := storetest.New(t)
		waiting(d, 1100)
		many := d.Count(`select count(*) from tunes`)
		d.Exec(`update tunes set status = 'canceled', created_at = created_at - interval '2 days', n_trials = 3`)
		limit := func(trials int) {
			_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{TrialsPerDay: &trials}})
			require.NoError(t, err)
		}
		limit(3*many - 1)
		var over *store.QuotaError
		require.ErrorAs(t, retryAll(d, lifecycle.Tune, many, 0), &over)
		require.EqualValues(t, 3*many, over.Asked)
		require.Equal(t, many, d.Count(`select count(*) from tunes where status = 'canceled'`))
		limit(3 * many)
		require.NoError(t, retryAll(d, lifecycle.Tune, many, 0))
	})
	t.Run("depth of run plans", func(t *testing.T) {
		t.Parallel()
		d := storetest.New(t)
		const plans = 21 // a step takes up 20
		for i := range plans {
			runPlan(d, fmt.Sprint(i), 2)
		}
		d.Exec(`update tunes set status = 'canceled'`)
		d.Exec(`update run_plans set status = 'canceled', variants_done = 2, variants_failed = 2`)
		require.ErrorIs(t, retryAll(d, lifecycle.RunPlan, plans, 2*plans-1), store.ErrQueueFull)
		require.Equal(t, 2*plans, d.Count(`select count(*) from tunes where status = 'canceled'`))
		require.NoError(t, retryAll(d, lifecycle.RunPlan, plans, 2*plans))
	})
}
