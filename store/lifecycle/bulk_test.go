package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/labels"
	"millrace/store/lifecycle"
	"millrace/store/schedules"
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

	for _, one := range []struct {
		action   lifecycle.Action
		archived *bool
		want     int
	}{
		{lifecycle.ArchiveAll, nil, 4}, {lifecycle.ArchiveAll, new(false), 4}, {lifecycle.ArchiveAll, new(true), 0},
		{lifecycle.RestoreAll, nil, 3}, {lifecycle.RestoreAll, new(true), 3}, {lifecycle.RestoreAll, new(false), 0},
	} {
		found, err := d.Store.Lifecycle.Match(ctx, d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: one.action, Filter: lifecycle.Filter{Archived: one.archived}})
		require.NoError(t, err)
		require.Len(t, found, one.want, "%s of archived %v", one.action, one.archived)
	}
	done, err = d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.UntagAll, Tags: []string{"old"}, Confirm: 7})
	require.NoError(t, err)
	require.Equal(t, 3, done.Changed, "what has no tag is not changed")
	require.Equal(t, 3, d.Count(`select count(*) from labels`), "taking tags away makes labels")

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

// The run of a schedule whose tune is cancelled with others, or by a deletion, ends as when it is cancelled alone.
func TestSchedulesLearnThatTheirTunesWereCancelledWithOthers(t *testing.T) {
	t.Parallel()
	for what, cancel := range map[string]func(*storetest.Fixture, uuid.UUID) error{
		"by a filter": func(d *storetest.Fixture, _ uuid.UUID) error {
			_, err := d.Store.Lifecycle.Bulk(d.T.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.CancelAll, Confirm: 2})
			return err
		},
		"by a deletion": func(d *storetest.Fixture, tune uuid.UUID) error {
			_, err := d.Store.Lifecycle.Delete(d.T.Context(), d.Space.ID, cascade(lifecycle.Tune, tune))
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			ctx := t.Context()
			made, err := schedule(d, schedules.Schedule{Name: "nightly", Request: json.RawMessage(`{"dataset": "walk"}`)})
			require.NoError(t, err)
			var slot *schedules.Slot
			_, err = d.Store.Schedules.RunNow(ctx, store.Submission{Workspace: d.Space.ID, Route: "test"}, made.ID, func(s *schedules.Slot) (store.Response, error) {
				slot = s
				return store.Response{Status: 202}, nil
			})
			require.NoError(t, err)
			tune, _ := d.Tune("of the schedule")
			d.Tune("another")
			require.NoError(t, d.Store.Schedules.Submit(ctx, d.Claim(*slot.JobID, "w"), slot, 0, func(context.Context, *store.Tx) (uuid.UUID, error) { return tune.ID, nil }))
			require.NoError(t, cancel(d, tune.ID))
			_, slot, err = d.Store.Schedules.Slot(ctx, d.Space.ID, slot.ID)
			require.NoError(t, err)
			require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and kind = 'schedule.compare' and state = 'available'`, *slot.JobID),
				"nothing ends the run of the schedule")
		})
	}
}

// BenchmarkCancelOfManyTunes cancels 10,000 queued tunes by a filter: the goal is 2 s.
func BenchmarkCancelOfManyTunes(b *testing.B) {
	d := storetest.New(b)
	const many = 10_000
	first, _ := d.Tune("first")
	for b.Loop() {
		b.StopTimer()
		d.Exec(`update tunes set status = 'canceled' where status = 'queued'`)
		wait(d, first.ID, many)
		b.StartTimer()
		done, err := d.Store.Lifecycle.Bulk(b.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.Tune, Action: lifecycle.CancelAll, Confirm: many})
		require.NoError(b, err)
		require.Equal(b, many, done.Changed)
	}
	require.Zero(b, d.Count(`select count(*) from river_job where state = 'pending'`))
}

// Each kind that a filter finds is found: of none that there is nothing of, and of run plans those that there are.
func TestAFilterFindsEveryKind(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	plan, _ := runPlan(d, "p", 1)
	for _, kind := range lifecycle.Kinds() {
		for _, action := range lifecycle.ActionsOf(kind) {
			_, err := d.Store.Lifecycle.Match(t.Context(), d.Space.ID, lifecycle.Bulk{Kind: kind, Action: action})
			require.NoError(t, err, "%s %s", action, kind)
		}
	}
	found, err := d.Store.Lifecycle.Match(t.Context(), d.Space.ID, lifecycle.Bulk{Kind: lifecycle.RunPlan, Action: lifecycle.ArchiveAll})
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{plan}, found)
}
