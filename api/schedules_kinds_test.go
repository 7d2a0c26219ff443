package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs"
	"millrace/jobs/worker/ingestion/fetch"
)

// runNow runs a schedule by hand, and waits for what becomes of it.
func (r *fixture) runNow(schedule string, before int) types.ScheduleSlot {
	r.t.Helper()
	a := r.do(http.MethodPost, "/schedules/"+schedule+"/run", "", "X-Idempotency-Key", fmt.Sprint("run ", before))
	require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	return r.awaitSlot(schedule, before)
}

func TestScheduleOfAWalkForwardReportsItsWinner(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	made := into[types.Schedule](t, r.do(http.MethodPost, "/schedules", scheduleBody(t, map[string]any{"kind": "wfo", "request": json.RawMessage(smallWFO)})))
	first := r.runNow(made.ScheduleID, 0)
	require.Equal(t, types.SlotCompleted, first.State, "%+v", first)
	wfo := into[types.WFO](t, r.do(http.MethodGet, "/backtests/wfo/"+*first.ResultID, ""))
	require.NotNil(t, first.Result)
	require.Equal(t, wfo.BestScore, first.Result.Score)
	require.NotEmpty(t, first.Result.Params)
	require.NotEmpty(t, first.Result.Verdict)
	require.Equal(t, string(wfo.Evidence.Value.Verdict), first.Result.Verdict)
	require.Nil(t, first.Result.PBO, "a walk-forward has none")

	same := r.runNow(made.ScheduleID, 1)
	require.Equal(t, types.SlotCompleted, same.State, "%+v", same)
	require.Equal(t, first.SlotID, *same.ComparedWith)
	require.Empty(t, same.Changes, "the same request on the same bars gives the same")

	// One that is cancelled does not count as a failure of the schedule.
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/schedules/"+made.ScheduleID+"/run", "", "X-Idempotency-Key", "cancelled").status)
	var running string
	require.Eventually(t, func() bool {
		newest := into[types.List[types.ScheduleSlot]](t, r.do(http.MethodGet, "/schedules/"+made.ScheduleID+"/history", "")).Items[0]
		if newest.ResultID != nil && newest.SlotID != same.SlotID {
			running = *newest.ResultID
		}
		return running != ""
	}, time.Minute, 20*time.Millisecond)
	a := r.do(http.MethodPost, "/backtests/wfo/"+running+"/cancel", "")
	slot := r.awaitSlot(made.ScheduleID, 2)
	if a.status == http.StatusOK { // it had not ended before
		require.Equal(t, types.SlotCanceled, slot.State, "%+v", slot)
	}
	require.Zero(t, into[types.Schedule](t, r.do(http.MethodGet, "/schedules/"+made.ScheduleID, "")).Failures)
}

func TestScheduleOfAnIngestionReportsWhetherItsSourceChanged(t *testing.T) {
	l := newLibrary(t)
	var text atomic.Value
	text.Store("Momentum of twelve months without the last one is held for a month.")
	var status atomic.Int32
	status.Store(http.StatusOK)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(int(status.Load()))
		paragraph := "<p>" + text.Load().(string) + "</p>\n"
		fmt.Fprintf(w, "<!doctype html><html><head><title>Notes</title></head><body><article><h1>Notes</h1>%s</article></body></html>", strings.Repeat(paragraph, 20))
	}))
	t.Cleanup(site.Close)
	at := netip.MustParseAddrPort(site.Listener.Addr().String())
	l.ingestingFrom(fetch.Options{AllowNetworks: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, AllowPorts: []uint16{at.Port()}},
		jobs.Slots{jobs.QueueIngestion: 1, jobs.QueueTunes: 1})
	made := into[types.Schedule](t, l.do(http.MethodPost, "/schedules", scheduleBody(t, map[string]any{
		"kind": "ingestion", "request": map[string]any{"url": site.URL + "/notes"}})))
	first := l.runNow(made.ScheduleID, 0)
	if first.Reason != nil {
		t.Log(*first.Reason)
	}
	require.Equal(t, types.SlotCompleted, first.State)
	require.Equal(t, "created", first.Result.Outcome)
	require.Positive(t, first.Result.Chunks)

	same := l.runNow(made.ScheduleID, 1)
	require.Equal(t, "unchanged", same.Result.Outcome)

	text.Store("Reversal over a week is stronger in small stocks, and costs eat it.")
	changed := l.runNow(made.ScheduleID, 2)
	require.Equal(t, types.SlotCompleted, changed.State)
	require.Equal(t, "replaced", changed.Result.Outcome)
	require.NotEmpty(t, changed.Changes)

	status.Store(http.StatusNotFound)
	gone := l.runNow(made.ScheduleID, 3)
	require.Equal(t, types.SlotFailed, gone.State)
	require.NotEmpty(t, *gone.Reason)
	require.Equal(t, 1, into[types.Schedule](t, l.do(http.MethodGet, "/schedules/"+made.ScheduleID, "")).Failures)
}
