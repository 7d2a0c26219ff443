package schedules_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/calendar"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/schedules"
	"millrace/store/storetest"
)

func TestSlotIsStoredWithItsJobAndTheNextOne(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	require.Equal(t, at(t, "2025-01-01T06:00:00Z"), made.NextAt.UTC())
	require.Equal(t, "scheduled", d.JobState(*made.JobID))

	_, err := d.schedules.Fire(t.Context(), d.Claim(*made.JobID, "w"), made.ID)
	var early *schedules.EarlyError
	require.ErrorAs(t, err, &early, "a slot is fired before its time")
	require.Equal(t, time.Minute, early.Wait)

	d.setClock("2025-01-01T06:00:01Z")
	require.Equal(t, 1, d.fire(made.ID))
	next := d.get(made.ID)
	require.Equal(t, at(t, "2025-01-02T06:00:00Z"), next.NextAt.UTC())
	require.NotEqual(t, *made.JobID, *next.JobID)
	require.Equal(t, "completed", d.JobState(*made.JobID))
	slots := d.slots(made.ID)
	require.Len(t, slots, 1)
	require.Equal(t, schedules.Due, slots[0].State)
	require.Equal(t, "available", d.JobState(*slots[0].JobID))
	require.Equal(t, slots[0].ID, next.Last.ID)
}

func TestSlotIsNeverStoredTwice(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	d.setClock("2025-01-01T06:00:01Z")
	require.Equal(t, 1, d.fire(made.ID))
	// As after a clock or a row that was put back.
	d.Exec(`update schedules set next_at = '2025-01-01T06:00:00Z'`)
	require.Zero(t, d.fire(made.ID))
	require.Len(t, d.slots(made.ID), 1)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where kind = 'schedule.submit' and finalized_at is null`))
}

func TestAttemptThatLostItsJobFiresNothing(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	d.setClock("2025-01-01T06:00:01Z")
	zombie := d.Claim(*made.JobID, "lost")
	d.Exec(`update river_job set state = 'available' where id = $1`, *made.JobID)
	holder := d.Claim(*made.JobID, "next")
	_, err := d.schedules.Fire(t.Context(), zombie, made.ID)
	require.ErrorIs(t, err, store.ErrFenced)
	require.Empty(t, d.slots(made.ID))
	fired, err := d.schedules.Fire(t.Context(), holder, made.ID)
	require.NoError(t, err)
	require.Equal(t, 1, fired)
}

func TestMissedSlotsAreAccountedFor(t *testing.T) {
	t.Parallel()
	for policy, want := range map[calendar.Policy]struct{ fired, skipped int }{
		calendar.Skip: {0, 4}, calendar.Once: {1, 3}, calendar.All: {4, 0},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			d := newFixture(t, "2025-01-01T05:59:00Z")
			made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *", Missed: policy})
			d.setClock("2025-01-04T09:00:00Z")
			require.Equal(t, want.fired, d.fire(made.ID))
			skipped := 0
			for _, slot := range d.slots(made.ID) {
				if slot.State == schedules.Skipped {
					skipped += slot.Slots
					require.Equal(t, at(t, "2025-01-01T06:00:00Z"), slot.FirstAt.UTC())
					require.NotEmpty(t, *slot.Reason)
				}
			}
			require.Equal(t, want.skipped, skipped)
			require.Equal(t, at(t, "2025-01-05T06:00:00Z"), d.get(made.ID).NextAt.UTC())
		})
	}
}

func TestPausedScheduleFiresNothingAndDoesNotMakeUp(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *", Missed: calendar.All})
	yes, no := true, false
	paused, err := d.schedules.Change(t.Context(), d.Space.ID, made.ID, schedules.Change{Paused: &yes})
	require.NoError(t, err)
	require.Nil(t, paused.NextAt)
	require.Equal(t, "cancelled", d.JobState(*made.JobID))
	// A job that was fetched before it was cancelled.
	d.setClock("2025-01-03T07:00:00Z")
	d.Exec(`update river_job set state = 'available', finalized_at = null where id = $1`, *made.JobID)
	fired, err := d.schedules.Fire(t.Context(), d.Claim(*made.JobID, "w"), made.ID)
	require.ErrorIs(t, err, store.ErrEnded, "the job was asked to stop")
	require.Zero(t, fired)
	resumed, err := d.schedules.Change(t.Context(), d.Space.ID, made.ID, schedules.Change{Paused: &no})
	require.NoError(t, err)
	require.Equal(t, at(t, "2025-01-04T06:00:00Z"), resumed.NextAt.UTC())
	require.Empty(t, d.slots(made.ID))
}

func TestResultsAreComparedWithTheOneBefore(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	runs := 0
	run := func(key string, outcome schedules.Outcome) *schedules.Slot {
		var slot *schedules.Slot
		_, err := d.schedules.RunNow(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test"}, made.ID, func(s *schedules.Slot) (store.Response, error) {
			slot = s
			return store.Response{Status: 202}, nil
		})
		require.NoError(t, err)
		d.Alone(1)
		tune := d.submit(slot, key)
		if runs++; runs%2 == 1 { // however it ends
			_, err = d.Store.Tuning.Cancel(t.Context(), d.Space.ID, tune)
		} else {
			err = d.Store.Tuning.Complete(t.Context(), d.ToCollect(tune), tune, storetest.OutcomeOf(5))
		}
		require.NoError(t, err)
		_, slot, err = d.schedules.Slot(t.Context(), d.Space.ID, slot.ID)
		require.NoError(t, err)
		require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and kind = 'schedule.compare'`, *slot.JobID), "the end of the work enqueues no comparison")
		require.NoError(t, d.schedules.Finish(t.Context(), d.Claim(*slot.JobID, "w"), slot.ID, outcome))
		_, slot, err = d.schedules.Slot(t.Context(), d.Space.ID, slot.ID)
		require.NoError(t, err)
		return slot
	}
	result := func(fast, score, pbo float64) *schedules.Result {
		return &schedules.Result{Params: map[string]float64{"fast": fast, "slow": 50}, Score: &score, PBO: &pbo}
	}
	first := run("1", schedules.Outcome{State: schedules.Completed, Result: result(5, 1.5, 0.2)})
	require.Nil(t, first.Changes, "the first result has none before it")
	same := run("2", schedules.Outcome{State: schedules.Completed, Result: result(5, 1.5, 0.2)})
	require.NotNil(t, same.Changes)
	require.Empty(t, same.Changes)
	failed := run("3", schedules.Outcome{State: schedules.Failed, Reason: "no"})
	require.Nil(t, failed.Changes)
	require.Equal(t, 1, d.get(made.ID).Failures)
	changed := run("4", schedules.Outcome{State: schedules.Completed, Result: result(10, 1.25, 0.2)})
	require.Equal(t, []schedules.Difference{{Field: "params.fast", Before: 5.0, After: 10.0}, {Field: "score", Before: 1.5, After: 1.25}}, changed.Changes)
	require.Equal(t, same.ID, *changed.ComparedID, "compared with a run that found nothing")
	require.Zero(t, d.get(made.ID).Failures)
	require.Equal(t, []string{
		"schedule.fired", "schedule.completed", "schedule.fired", "schedule.completed", "schedule.fired", "schedule.failed",
		"schedule.fired", "schedule.completed", "schedule.result_changed",
	}, d.EventTypes(made.ID))
	for i := range schedules.Failing {
		trouble, err := d.schedules.Troubled(t.Context(), 5)
		require.NoError(t, err)
		require.Zero(t, trouble.Failing, "after %d failures", i)
		run("f"+string(rune('a'+i)), schedules.Outcome{State: schedules.Failed, Reason: "no"})
	}
	types := d.EventTypes(made.ID)
	require.Equal(t, "schedule.failing", types[len(types)-1])
	trouble, err := d.schedules.Troubled(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, 1, trouble.Failing)
	require.Equal(t, []uuid.UUID{made.ID}, trouble.Named)
	// What it found is kept without the tune.
	d.Exec(`delete from tunes`)
	require.NotNil(t, d.slots(made.ID)[0].Result)
}

func TestNewVersionOfADatasetRunsItsSchedules(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "bars", Series: "walk"})
	paused := d.made(schedules.Schedule{Name: "paused", Series: "walk", Paused: true})
	other := d.made(schedules.Schedule{Name: "other", Series: "another"})
	more, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 510})
	require.NoError(t, err)
	for range 2 { // the second adds nothing
		extended, err := d.Store.Market.Extend(t.Context(), d.Space.ID, "walk", market.Extension{Bars: more})
		require.NoError(t, err)
		slots := d.slots(made.ID)
		require.Len(t, slots, 1)
		require.Equal(t, schedules.ByBars, slots[0].Cause)
		require.Equal(t, extended.Dataset.ID, *slots[0].DatasetID)
		require.Equal(t, schedules.Due, slots[0].State)
	}
	require.Empty(t, d.slots(paused.ID))
	require.Empty(t, d.slots(other.ID))
	require.Error(t, d.Store.DB.InWorkspace(t.Context(), d.Space.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `
			insert into schedule_slots (id, schedule_id, workspace_id, cause, slot_at, first_at, dataset_id, state, job_id)
			select $1, schedule_id, workspace_id, cause, slot_at, first_at, dataset_id, state, job_id from schedule_slots`, uuid.New())
		return err
	}), "a version runs a schedule twice")
}

func TestLostJobsOfSchedulesAreTakenUp(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	taken := func(what string) {
		t.Helper()
		done, err := d.Store.Workers.Reconcile(t.Context())
		require.NoError(t, err)
		require.Len(t, done, 1, what)
		require.Equal(t, "schedule", done[0].What)
		again, err := d.Store.Workers.Reconcile(t.Context())
		require.NoError(t, err)
		require.Empty(t, again, what)
	}
	d.Exec(`delete from river_job where id = $1`, *made.JobID)
	taken("the job of the next slot was deleted")
	d.setClock("2025-01-01T06:00:01Z")
	require.Equal(t, 1, d.fire(made.ID))
	slot := d.slots(made.ID)[0]
	d.Exec(`update river_job set state = 'discarded', finalized_at = now() where id = $1`, *slot.JobID)
	taken("the job that submits was discarded")
	d.Alone(1)
	tune := d.submit(slot, "t")
	// Ended by hand: nothing has enqueued the comparison.
	d.Exec(`update tunes set status = 'failed', completed_at = now() where id = $1`, tune)
	d.Exec(`delete from river_job where kind like 'tune.%'`)
	taken("nothing compares")
	_, slot, err := d.schedules.Slot(t.Context(), d.Space.ID, slot.ID)
	require.NoError(t, err)
	require.NoError(t, d.schedules.Await(t.Context(), d.Claim(*slot.JobID, "w"), slot))
	_, slot, err = d.schedules.Slot(t.Context(), d.Space.ID, slot.ID)
	require.NoError(t, err)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and kind = 'schedule.compare' and state = 'available'`, *slot.JobID))
}

func TestFullQueueOrRefusedSubmissionLeavesTheSlotDue(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *"})
	d.setClock("2025-01-01T06:00:01Z")
	d.fire(made.ID)
	slot := d.slots(made.ID)[0]
	d.Tune("waits")
	err := d.schedules.Submit(t.Context(), d.Claim(*slot.JobID, "w"), slot, 1, func(context.Context, *store.Tx) (uuid.UUID, error) {
		t.Error("work is submitted to a full queue")
		return uuid.Nil, nil
	})
	require.ErrorIs(t, err, store.ErrQueueFull)
	require.Equal(t, schedules.Due, d.slots(made.ID)[0].State)
	d.Exec(`update workspaces set queue_depth = 5`)
	d.Exec(`update river_job set state = 'available' where id = $1`, *slot.JobID)
	require.NotEqual(t, uuid.Nil, d.submit(slot, "fits"))
	require.Equal(t, schedules.Running, d.slots(made.ID)[0].State)
}

// A schedule that is only run by hand, as one that is paused, keeps no more of its history than others.
func TestRunsByHandKeepTheHistoryBounded(t *testing.T) {
	t.Parallel()
	d := newFixture(t, "2025-01-01T05:59:00Z")
	made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *", Paused: true})
	d.Exec(`
		insert into schedule_slots (id, schedule_id, workspace_id, cause, slot_at, first_at, state, entity_id, result, changes, ended_at)
		select ('00000000-0000-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid, $1, $2, 'manual', now(), now(), 'completed', gen_random_uuid(),
		       '{"dsr": 0.9731, "pbo": 0.1203, "score": 1.2345678901234567, "params": {"fast": 10, "slow": 100}, "dataset": "sp500@12", "verdict": "robust"}',
		       '[{"field": "params.fast", "before": 5, "after": 10}, {"field": "score", "before": 1.1345678901234567, "after": 1.2345678901234567}]', now()
		  from generate_series(1, 1100) g`, made.ID, d.Space.ID)
	_, err := d.schedules.RunNow(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test"}, made.ID, func(*schedules.Slot) (store.Response, error) {
		return store.Response{Status: 202}, nil
	})
	require.NoError(t, err)
	require.Equal(t, 1000, d.Count(`select count(*) from schedule_slots where schedule_id = $1`, made.ID))
	require.Equal(t, 1, d.Count(`select count(*) from schedule_slots where schedule_id = $1 and state = 'due'`, made.ID), "the newest is kept")
}
