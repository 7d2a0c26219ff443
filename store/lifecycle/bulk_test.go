package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/labels"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

func TestAFilterChangesWhatItsCallerConfirmed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	var tunes []uuid.UUID
	for i := range 5 {
		tune, _ := d.Tune(fmt.Sprint(i))
		tunes = append(tunes, tune.ID)
	}
	wfo, _ := d.WalkForward("w", 2, false)
	plan, variants := runPlan(d, "p", 2)
	cancel := lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.CancelAll, Confirm: 6}
	_, err := d.Store.Lifecycle.Bulk(ctx, d.Space.ID, cancel)
	var differs *lifecycle.UnconfirmedError
	require.ErrorAs(t, err, &differs)
	require.Equal(t, 7, differs.Matched)
	require.Zero(t, d.Count(`select count(*) from tunes where status = 'canceled'`))

	cancel.Confirm = 7
	done, err := d.Store.Lifecycle.Bulk(ctx, d.Space.ID, cancel)
	require.NoError(t, err)
	require.Equal(t, lifecycle.BulkDone{Matched: 7, Changed: 7}, done)
	require.Equal(t, []string{"backtest.tune.queued", "backtest.tune.canceled"}, d.EventTypes(tunes[0]))
	require.Zero(t, d.Count(`select count(*) from river_job where kind = 'tune.plan' and state in ('available', 'pending')
		and args ->> 'tune_id' in (select id::text from tunes where wfo_id is null)`), "no job of a cancelled tune is left")
	got, _, err := d.Store.Tuning.RunPlan(ctx, d.Space.ID, plan)
	require.NoError(t, err)
	require.Equal(t, tuning.RunPlanCanceled, got.Status, "its variants are all cancelled")
	require.True(t, d.WalkForwardNow(wfo.ID).Admitted, "what waited behind them is admitted")

	tagged := lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.TagAll, Tags: []string{"old", "red"}, Filter: lifecycle.Filter{IDs: tunes[:3]}, Confirm: 3}
	for range 2 {
		done, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, tagged)
		require.NoError(t, err)
		require.Equal(t, 3, done.Changed)
	}
	label, err := d.Store.Labels.Get(ctx, d.Space.ID, labels.Tune, tunes[0])
	require.NoError(t, err)
	require.Equal(t, []string{"old", "red"}, label.Tags, "a tag is given once")
	done, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.UntagAll, Tags: []string{"red"}, Filter: lifecycle.Filter{Tag: "red"}, Confirm: 3})
	require.NoError(t, err)
	require.Equal(t, 3, done.Changed)

	done, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.ArchiveAll, Filter: lifecycle.Filter{Text: "OLD sma"}, Confirm: 3})
	require.NoError(t, err)
	require.Equal(t, 3, done.Changed)
	for filter, want := range map[*lifecycle.Filter]int{
		{Archived: new(true)}: 3, {Status: "canceled"}: 7, {Status: "running"}: 0, {Strategy: "sma_cross"}: 7, {Strategy: "other"}: 0, {Tag: "old"}: 3,
		{OlderThan: time.Hour}: 0, {IDs: []uuid.UUID{}}: 0,
	} {
		found, err := d.Store.Lifecycle.Match(ctx, d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.DeleteAll, Filter: *filter})
		require.NoError(t, err)
		require.Len(t, found, want, "%+v", *filter)
	}

	remove := lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.DeleteAll, Confirm: 7}
	_, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, remove)
	require.Equal(t, plan, refused(t, err).Dependants[0].ID, "two are variants of a run plan")
	remove.Filter.IDs, remove.Confirm = tunes, 5
	done, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, remove)
	require.NoError(t, err)
	require.Equal(t, 5, done.Changed)
	require.Len(t, done.Deletions, 1)
	work(d, done.Deletions[0])
	require.Equal(t, len(variants), d.Count(`select count(*) from tunes where wfo_id is null`))

	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	found, err := d.Store.Lifecycle.Match(ctx, other.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.DeleteAll})
	require.NoError(t, err)
	require.Empty(t, found)
}

// BenchmarkCancelOfManyTunes cancels 10,000 queued tunes by a filter: the goal is 2 s.
func BenchmarkCancelOfManyTunes(b *testing.B) {
	d := storetest.New(b)
	const many = 10_000
	first, _ := d.Tune("first")
	for b.Loop() {
		b.StopTimer()
		d.Exec(`update tunes set status = 'canceled' where status = 'queued'`)
		d.Exec(`
			with made as (
				insert into river_job (kind, args, queue, priority, max_attempts, state)
				select 'tune.plan', jsonb_build_object('workspace_id', $1::uuid, 'n', n), 'tunes', 2, 8, 'pending' from generate_series(1, $3) n
				returning id, (args ->> 'n')::int as n)
			insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, admitted, plan_job_id, n_trials)
			select gen_random_uuid(), workspace_id, dataset_id, strategy, objective, search_type, spec, false, made.id, n_trials
			  from tunes, made where tunes.id = $2`, d.Space.ID, first.ID, many)
		d.Exec(`analyze tunes, river_job`)
		b.StartTimer()
		done, err := d.Store.Lifecycle.Bulk(b.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.CancelAll, Confirm: many})
		require.NoError(b, err)
		require.Equal(b, many, done.Changed)
	}
	require.Zero(b, d.Count(`select count(*) from river_job where state = 'pending'`))
}
