package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/calendar"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/market"
	"millrace/store/schedules"
	"millrace/store/storetest"
)

// schedule makes one that submits a request, and holds datasets meanwhile.
func schedule(d *storetest.Fixture, in schedules.Schedule) (*schedules.Schedule, error) {
	in.TimeZone, in.Missed = "UTC", calendar.Once
	if in.Series == "" {
		in.Cron = "0 6 * * *"
	}
	if in.Kind == "" {
		in.Kind = schedules.Tune
	}
	var made *schedules.Schedule
	_, err := d.Store.Schedules.Create(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test"}, in,
		func(s *schedules.Schedule) (store.Response, error) {
			made = s
			return store.Response{Status: 201}, nil
		})
	return made, err
}

// Of two versions of the dataset walk, the newest is deleted, then both.
func TestSchedulesDependOnTheDatasetsThatTheyName(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	second, err := d.Store.Market.Extend(ctx, d.Space.ID, "walk", market.Extension{Bars: doubled(d.Bars.Slice(0, d.Bars.Len())), Rewrite: true, Reading: []byte(`{}`)})
	require.NoError(t, err)
	newest := second.Dataset.ID
	_, err = d.Store.Market.PutDataset(ctx, d.Space.ID, market.Dataset{Name: "kept", Symbol: "V", Timeframe: "1d", Calendar: 252}, d.Bars)
	require.NoError(t, err)
	ids := map[string]uuid.UUID{}
	for name, in := range map[string]schedules.Schedule{
		"by name":      {Request: json.RawMessage(`{"dataset": "walk"}`)},
		"of several":   {Request: json.RawMessage(`{"datasets": ["kept", "walk"]}`)},
		"inside bars":  {Request: json.RawMessage(`{"dataset": "kept", "intrabar_dataset": "walk"}`), Kind: schedules.WalkForward},
		"at new bars":  {Request: json.RawMessage(`{"url": "https://example.com/"}`), Kind: schedules.Ingestion, Series: "walk"},
		"by number":    {Request: json.RawMessage(`{"dataset": "walk@2"}`)},
		"by id":        {Request: json.RawMessage(fmt.Sprintf(`{"dataset": %q}`, newest))},
		"first by id":  {Request: json.RawMessage(fmt.Sprintf(`{"dataset": %q}`, d.Dataset.ID))},
		"not at all":   {Request: json.RawMessage(`{"dataset": "kept"}`)},
		"an ingestion": {Request: json.RawMessage(`{"url": "https://example.com/", "dataset": "walk"}`), Kind: schedules.Ingestion},
	} {
		in.Name = name
		made, err := schedule(d, in)
		require.NoError(t, err, name)
		ids[name] = made.ID
	}
	dependants := func(named ...uuid.UUID) (names []string) {
		_, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Dataset, named...))
		for _, ref := range refused(t, err).Dependants {
			require.Equal(t, lifecycle.Schedule, ref.Kind)
			require.Equal(t, ids[ref.Name], ref.ID)
			names = append(names, ref.Name)
		}
		return names
	}
	require.ElementsMatch(t, []string{"by number", "by id"}, dependants(newest), "the name is left to the version before")
	require.ElementsMatch(t, []string{"by name", "of several", "inside bars", "at new bars", "by number", "by id", "first by id"}, dependants(newest, d.Dataset.ID))

	// With cascade they go at once: nothing of them is seen, none is to come, and what is due is cancelled.
	_, err = d.Store.Schedules.RunNow(ctx, store.Submission{Workspace: d.Space.ID, Route: "test"}, ids["by name"],
		func(*schedules.Slot) (store.Response, error) { return store.Response{Status: 202}, nil })
	require.NoError(t, err)
	made, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Dataset, newest, d.Dataset.ID))
	require.NoError(t, err)
	require.Equal(t, 2+7, made.Items)
	_, err = d.Store.Schedules.Get(ctx, d.Space.ID, ids["by name"])
	require.ErrorIs(t, err, store.ErrNotFound)
	list, err := d.Store.Schedules.List(ctx, d.Space.ID, store.Page{}, 100)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Zero(t, d.Count(`select count(*) from river_job where kind = 'schedule.submit' and finalized_at is null`))
	require.Equal(t, 2, d.Count(`select count(*) from river_job where kind = 'schedule.fire' and finalized_at is null`))
	lost, err := d.Store.Workers.LostWork(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, lost, "a schedule that is being deleted is taken for one whose job was lost")
	_, err = schedule(d, schedules.Schedule{Name: "by name", Request: json.RawMessage(`{"dataset": "kept"}`)})
	require.NoError(t, err, "its name is free")
	work(d, made.ID)
	require.Equal(t, 3, d.Count(`select count(*) from schedules`))
	require.Zero(t, d.Count(`select count(*) from schedule_slots`))
	require.Equal(t, []string{"schedule.deleting", "schedule.deleted"}, d.EventTypes(ids["by id"]))
}

// Whichever of the two commits first, no schedule is left that names a dataset which is gone.
func TestScheduleAndDeletionOfItsDatasetExcludeEachOther(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, request(lifecycle.Dataset, d.Dataset.ID))
	require.NoError(t, err)
	_, err = schedule(d, schedules.Schedule{Name: "late", Request: json.RawMessage(`{"dataset": "walk"}`), Holds: []uuid.UUID{d.Dataset.ID}})
	require.ErrorIs(t, err, store.ErrNotFound, "a schedule is made of a dataset that was deleted after its check")
	require.Zero(t, d.Count(`select count(*) from schedules`))
}

// A step of a schedule that was read before the schedule was hidden makes no work.
func TestSubmissionOfADeletedScheduleMakesNoWork(t *testing.T) {
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
	lease := d.Claim(*slot.JobID, "w")
	_, err = d.Store.Lifecycle.Delete(ctx, d.Space.ID, cascade(lifecycle.Dataset, d.Dataset.ID))
	require.NoError(t, err)
	err = d.Store.Schedules.Submit(ctx, lease, slot, 0, func(context.Context, *store.Tx) (uuid.UUID, error) {
		t.Error("work of a deleted schedule is submitted")
		return uuid.Nil, nil
	})
	require.ErrorIs(t, err, store.ErrNotFound)
}
