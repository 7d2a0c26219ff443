package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/worker/tune"
)

var terminal = []string{"completed", "partial", "failed", "canceled"}

// race is one kind of work that is submitted and canceled while workers finish it.
type race struct {
	kind, path string // of the submission
	body       func(i int) string
	entities   int
	events     string // what its terminal events begin with
}

// ran is what became of one.
type ran struct {
	location string
	canceled int    // the cancel's status
	detail   string // and what it said
}

// askAs makes a request without a test to fail, from a goroutine.
func (r *fixture) askAs(method, path, body, key string) (answer, error) {
	return r.try(method, path, strings.NewReader(body), "Authorization", "Bearer "+r.key, "X-Idempotency-Key", key)
}

// cancelOne cancels a work: every eighth at once and every eighth when it has ended, the others as soon as
// they are seen to run, which races their finish.
func (r *fixture) cancelOne(one *ran, i int) error {
	for until := time.Now().Add(time.Minute); i%8 != 0 && time.Now().Before(until); {
		a, err := r.askAs(http.MethodGet, one.location, "", "")
		if err != nil {
			return err
		}
		var state struct{ Status string }
		if err := json.Unmarshal(a.body, &state); err != nil {
			return fmt.Errorf("%s: %d %s", one.location, a.status, a.body)
		}
		if slices.Contains(terminal, state.Status) || i%8 != 7 && state.Status == "running" {
			break
		}
	}
	a, err := r.askAs(http.MethodPost, one.location+"/cancel", "", "")
	one.canceled, one.detail = a.status, string(a.body)
	return err
}

// Cancels race the finish of what they cancel: each work ends once, with one event, and a cancel that came
// too late says in which state it found the work.
func TestACancelThatRacesTheFinishEndsTheWorkOnce(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	l.ingesting()
	l.startSlots(jobs.Slots{jobs.QueueTrials: 2, jobs.QueueTunes: 2, jobs.QueueWFO: 1}, tune.Options{ShardTime: 50 * time.Millisecond})
	for _, c := range []race{
		{"ingestion", "/ingest", func(i int) string { return fmt.Sprintf(`{"text":"Note %d of many.","title":"n%d"}`, i, i) }, 64, "ingestion.job."},
		{"tune", "/backtests/tune", func(int) string { return smallTune }, 32, "backtest.tune."},
		{"walk-forward", "/backtests/wfo", func(int) string { return smallWFO }, 8, "wfo.run."},
		{"run plan", "/run-plans", func(int) string { return smallPlan }, 8, "backtest.run_plan."},
	} {
		all := make([]ran, c.entities)
		for i := range all {
			a, err := l.askAs(http.MethodPost, c.path, c.body(i), fmt.Sprint(c.kind, i))
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, a.status, string(a.body))
			all[i].location = a.header.Get("Location")
		}
		errs := make([]error, c.entities)
		var calls sync.WaitGroup
		next := make(chan int)
		for range 6 {
			calls.Go(func() {
				for i := range next {
					errs[i] = l.cancelOne(&all[i], i)
				}
			})
		}
		for i := range c.entities {
			next <- i
		}
		close(next)
		calls.Wait()
		won, late := 0, 0
		for i, one := range all {
			require.NoError(t, errs[i])
			var state struct{ Status string }
			require.Eventually(t, func() bool {
				state = into[struct{ Status string }](t, l.do(http.MethodGet, one.location, ""))
				return slices.Contains(terminal, state.Status)
			}, 60*time.Second, 10*time.Millisecond, "%s %s never ends", c.kind, one.location)
			switch one.canceled {
			case http.StatusOK:
				won++
				if c.kind != "run plan" { // some of its variants may have been completed
					require.Equal(t, "canceled", state.Status, one.location)
				}
			case http.StatusConflict:
				late++
				require.Contains(t, one.detail, "The "+c.kind+" is "+state.Status+" already", one.location)
			default:
				require.Fail(t, "a cancel is answered with 200 or 409", "%d %s", one.canceled, one.detail)
			}
			id := one.location[strings.LastIndex(one.location, "/")+1:]
			var events []string
			rows, err := l.db.OwnerPool(t).Query(t.Context(), `select type from event_log where entity_id = $1 and type = any ($2) order by id`, id,
				[]string{c.events + "completed", c.events + "partial", c.events + "failed", c.events + "canceled"})
			require.NoError(t, err)
			for rows.Next() {
				var event string
				require.NoError(t, rows.Scan(&event))
				events = append(events, event)
			}
			require.NoError(t, rows.Err())
			require.Equal(t, []string{c.events + state.Status}, events, "terminal events of %s %s", c.kind, one.location)
		}
		require.NotZero(t, won*late, "%s: %d canceled, %d too late: nothing raced", c.kind, won, late)
		t.Logf("%s: %d canceled, %d finished first", c.kind, won, late)
	}
}
