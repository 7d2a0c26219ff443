package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest"
	marketstore "millrace/store/market"
	"millrace/store/schedules"
)

// scheduleBody is a schedule of a small tune with some members changed; nil takes one out.
func scheduleBody(t *testing.T, changes map[string]any) string {
	t.Helper()
	body := map[string]any{
		"name": "nightly", "kind": "tune", "cron": "30 6 * * 1-5", "time_zone": "America/New_York",
		"request": map[string]any{"dataset": "sp500", "strategy_name": "sma_cross", "param_space": map[string]any{"fast": []int{5, 10}, "slow": []int{50, 100}}},
	}
	for member, value := range changes {
		if body[member] = value; value == nil {
			delete(body, member)
		}
	}
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	return string(raw)
}

func TestSchedulesThatCannotRunAreRefusedWithTheirField(t *testing.T) {
	r := newFixture(t).withSample()
	for _, c := range []struct {
		changes     map[string]any
		status      int
		field, says string
	}{
		{map[string]any{"cron": "0 0 30 2 *"}, 422, "cron", "never fires"},
		{map[string]any{"cron": "* * * * * *"}, 422, "cron", "at most once a minute"},
		{map[string]any{"cron": "@every 1s"}, 422, "cron", "at most once a minute"},
		{map[string]any{"cron": "61 * * * *"}, 422, "cron", "not a cron line"},
		{map[string]any{"cron": strings.Repeat("*", 300)}, 422, "cron", "300 bytes"},
		{map[string]any{"time_zone": "Mars/Olympus"}, 422, "time_zone", "not the name of a time zone"},
		{map[string]any{"time_zone": "Local"}, 422, "time_zone", "not the name of a time zone"},
		{map[string]any{"missed_policy": "maybe"}, 422, "missed_policy", "not a policy"},
		{map[string]any{"cron": nil, "time_zone": nil}, 422, "cron", "is required"},
		{map[string]any{"on_new_bars": "sp500"}, 422, "on_new_bars", "one of them"},
		{map[string]any{"cron": nil, "time_zone": nil, "on_new_bars": "nothing"}, 404, "on_new_bars", "is not the id or name"},
		{map[string]any{"name": ""}, 422, "name", "1 to 100"},
		{map[string]any{"kind": "run"}, 422, "kind", "is not what"},
		{map[string]any{"request": nil}, 422, "request", "is required"},
		{map[string]any{"request": map[string]any{"dataset": "sp500", "strategy_name": "nothing"}}, 422, "request.strategy_name", "unknown"},
		{map[string]any{"request": map[string]any{"dataset": "none", "strategy_name": "sma_cross", "param_space": map[string]any{"fast": []int{5}}}}, 404, "request.dataset", "none"},
		{map[string]any{"request": map[string]any{"dataset": "sp500", "no_member": 1}}, 400, "request.no_member", "not a member"},
		{map[string]any{"kind": "ingestion", "request": map[string]any{"text": "a"}}, 422, "request.url", "fetches"},
	} {
		a := r.do(http.MethodPost, "/schedules", scheduleBody(t, c.changes))
		require.Equal(t, c.status, a.status, "%v: %s", c.changes, a.body)
		p := into[types.ProblemError](t, a)
		require.NotEmpty(t, p.Errors, string(a.body))
		var said []string
		for _, fault := range p.Errors {
			said = append(said, fault.Field+" "+fault.Message)
		}
		require.Contains(t, strings.Join(said, "\n"), c.field+" ", "%v", c.changes)
		require.Contains(t, strings.Join(said, "\n"), c.says, "%v", c.changes)
	}
	require.Empty(t, into[types.List[types.Schedule]](t, r.do(http.MethodGet, "/schedules", "")).Items)
}

func TestScheduleIsPausedResumedRunAndDeleted(t *testing.T) {
	r := newFixture(t).withSample()
	made := into[types.Schedule](t, r.do(http.MethodPost, "/schedules", scheduleBody(t, nil)))
	require.NotNil(t, made.NextAt)
	require.Equal(t, types.MissedOnce, made.Missed)
	path := "/schedules/" + made.ScheduleID
	require.Equal(t, http.StatusConflict, r.do(http.MethodPost, "/schedules", scheduleBody(t, nil)).status, "a name is used twice")

	paused := into[types.Schedule](t, r.do(http.MethodPatch, path, `{"paused": true}`))
	require.True(t, paused.Paused)
	require.Nil(t, paused.NextAt)
	run := r.do(http.MethodPost, path+"/run", "", "X-Idempotency-Key", "run-1")
	require.Equal(t, http.StatusAccepted, run.status, string(run.body))
	slot := into[types.ScheduleSlot](t, run)
	require.Equal(t, types.SlotDue, slot.State)
	again := r.do(http.MethodPost, path+"/run", "", "X-Idempotency-Key", "run-1")
	require.Equal(t, string(run.body), string(again.body))
	history := into[types.List[types.ScheduleSlot]](t, r.do(http.MethodGet, path+"/history", ""))
	require.Len(t, history.Items, 1, "a key runs it once")
	resumed := into[types.Schedule](t, r.do(http.MethodPatch, path, `{"paused": false, "cron": "0 7 * * *", "time_zone": "UTC"}`))
	require.NotNil(t, resumed.NextAt)
	require.Equal(t, 7, resumed.NextAt.Hour())
	require.Equal(t, slot.SlotID, resumed.Last.SlotID)
	require.Equal(t, 422, r.do(http.MethodPatch, path, `{"cron": "0 0 31 4 *"}`).status)

	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, path, "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path+"/history", "").status)
}

func TestSchedulesOfAWorkspaceAreBounded(t *testing.T) {
	r := newFixture(t).withSample()
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `
		insert into schedules (id, workspace_id, name, kind, request, series, missed)
		select gen_random_uuid(), $1, 'filler ' || n, 'tune', '{}', 'sp500', 'once' from generate_series(1, $2) n`, r.alpha.ID, schedules.MostSchedules)
	require.NoError(t, err)
	a := r.do(http.MethodPost, "/schedules", scheduleBody(t, nil))
	require.Equal(t, http.StatusUnprocessableEntity, a.status, string(a.body))
	require.Contains(t, string(a.body), fmt.Sprint(schedules.MostSchedules))
}

// awaitSlot waits until the newest slot of a schedule has ended, and is not one of before.
func (r *fixture) awaitSlot(schedule string, before int) types.ScheduleSlot {
	r.t.Helper()
	var newest types.ScheduleSlot
	require.Eventually(r.t, func() bool {
		history := into[types.List[types.ScheduleSlot]](r.t, r.do(http.MethodGet, "/schedules/"+schedule+"/history", ""))
		if len(history.Items) <= before {
			return false
		}
		newest = history.Items[0]
		return newest.EndedAt != nil
	}, time.Minute, 20*time.Millisecond)
	return newest
}

func TestScheduleRunsComparesAndReportsWhatIsWrong(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	made := into[types.Schedule](t, r.do(http.MethodPost, "/schedules", scheduleBody(t, map[string]any{"cron": nil, "time_zone": nil, "on_new_bars": "sp500"})))
	path := "/schedules/" + made.ScheduleID
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, path+"/run", "", "X-Idempotency-Key", "1").status)
	first := r.awaitSlot(made.ScheduleID, 0)
	require.Equal(t, types.SlotCompleted, first.State, "%+v", first)
	require.Nil(t, first.ComparedWith)
	require.NotNil(t, first.Result.Params)
	require.NotNil(t, first.Result.Score)
	require.NotNil(t, first.Result.PBO)
	tune := into[types.Tune](t, r.do(http.MethodGet, "/backtests/tunes/"+*first.ResultID, ""))
	require.Equal(t, *tune.BestScore, *first.Result.Score)
	require.Equal(t, tune.Overfit.Value.DSR, first.Result.DSR)

	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, path+"/run", "", "X-Idempotency-Key", "2").status)
	same := r.awaitSlot(made.ScheduleID, 1)
	require.Equal(t, first.SlotID, *same.ComparedWith)
	require.Empty(t, same.Changes, "the same request on the same bars gives the same")

	dataset, err := r.store.Market.Dataset(t.Context(), r.alpha.ID, "sp500")
	require.NoError(t, err)
	more := &backtest.Bars{}
	for i := range 420 { // more than a year that falls steadily
		day := dataset.To.AddDate(0, 0, i+1)
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		price := 2000 * (1 - float64(i)/1000)
		more.Time = append(more.Time, day.UnixMicro())
		more.Open, more.High, more.Low = append(more.Open, price), append(more.High, price), append(more.Low, price)
		more.Close, more.Volume = append(more.Close, price), append(more.Volume, 1)
	}
	extended, err := r.store.Market.Extend(t.Context(), r.alpha.ID, "sp500", marketstore.Extension{Bars: more, AnyJump: true})
	require.NoError(t, err)
	bars := r.awaitSlot(made.ScheduleID, 2)
	require.Equal(t, types.SlotCompleted, bars.State, "%+v", bars)
	require.Equal(t, extended.Dataset.ID.String(), *bars.DatasetID)
	require.Equal(t, extended.Dataset.FullName, bars.Result.Dataset, "it runs on the bars that it ran for")
	require.NotEmpty(t, bars.Changes)

	// What the request names is gone by the time of a run: the run says so, and the schedule continues.
	_, err = r.db.OwnerPool(t).Exec(t.Context(), `update schedules set request = '{"dataset": "gone", "strategy_name": "sma_cross", "param_space": {"fast": [5]}}'`)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, path+"/run", "", "X-Idempotency-Key", "3").status)
	failed := r.awaitSlot(made.ScheduleID, 3)
	require.Equal(t, types.SlotFailed, failed.State)
	require.Contains(t, *failed.Reason, "gone")
	now := into[types.Schedule](t, r.do(http.MethodGet, path, ""))
	require.Equal(t, 1, now.Failures)
	require.False(t, now.Paused)
	events := into[types.EventPage](t, r.do(http.MethodGet, "/events?topics=schedules", ""))
	var kinds []string
	for _, event := range events.Items {
		kinds = append(kinds, event.Type)
	}
	require.Contains(t, kinds, "schedule.result_changed")
	require.Equal(t, "schedule.failed", kinds[len(kinds)-1])
}
