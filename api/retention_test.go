package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
)

type pruneView struct {
	JobLogID     int64   `json:"job_log_id"`
	Status       string  `json:"status"`
	DryRun       bool    `json:"dry_run"`
	DeletedCount int64   `json:"deleted_count"`
	Error        *string `json:"error"`
}

func (r *fixture) admin(method, path, body string, headers ...string) answer {
	r.t.Helper()
	return r.do(method, path, body, append([]string{"Authorization", "Bearer " + adminToken}, headers...)...)
}

// prune asks for a run and follows it to its end.
func (r *fixture) prune(job, key, body string) pruneView {
	r.t.Helper()
	a := r.admin(http.MethodPost, "/admin/retention/prune/"+job, body, "X-Idempotency-Key", key)
	require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	require.Equal(r.t, "queued", into[pruneView](r.t, a).Status)
	var view pruneView
	require.Eventually(r.t, func() bool {
		view = into[pruneView](r.t, r.admin(http.MethodGet, a.header.Get("Location"), ""))
		return view.Status == "completed" || view.Status == "failed"
	}, 20*time.Second, 20*time.Millisecond)
	require.Nil(r.t, view.Error)
	return view
}

func (r *fixture) exec(sql string, args ...any) {
	r.t.Helper()
	_, err := r.db.OwnerPool(r.t).Exec(r.t.Context(), sql, args...)
	require.NoError(r.t, err)
}

// A dry run counts and deletes nothing; a run then deletes just so many, and leaves what is pinned,
// young or an order.
func TestRetentionDryRun(t *testing.T) {
	r := newFixture(t)
	r.exec(`insert into trade_events (id, workspace_id, event_type, pinned, created_at)
		select gen_random_uuid(), $1, case when i % 10 = 0 then 'ORDER_FILLED' else 'RUN_STARTED' end, i % 10 = 1,
		       clock_timestamp() - i * interval '1 hour'
		  from generate_series(1, 5000) i`, r.alpha.ID)
	const events = `select count(*) from trade_events`
	old := r.count(events + ` where created_at < now() - interval '100 days' and event_type like 'RUN%' and not pinned`)
	require.Greater(t, old, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	frames, _ := r.openStream(ctx, "/admin/events/stream?topics=retention", "Authorization", "Bearer "+adminToken)
	r.startWorker()

	for i := range 2 {
		dry := r.prune("trade-events", fmt.Sprintf("dry-%d", i), `{"days":100}`)
		require.True(t, dry.DryRun, "dry_run is the default")
		require.EqualValues(t, old, dry.DeletedCount)
		require.Equal(t, 5000, r.count(events))
	}
	wet := r.prune("trade-events", "wet", `{"days":100,"dry_run":false,"batch_size":100}`)
	require.EqualValues(t, old, wet.DeletedCount)
	require.Equal(t, 5000-old, r.count(events))
	require.Equal(t, 500, r.count(events+` where event_type = 'ORDER_FILLED'`))
	require.Equal(t, 500, r.count(events+` where pinned`))

	// The same request again is answered from the first, and prunes nothing.
	first := r.admin(http.MethodPost, "/admin/retention/prune/trade-events", `{"days":100,"dry_run":false,"batch_size":100}`, "X-Idempotency-Key", "wet")
	require.Equal(t, "true", first.header.Get("Idempotency-Replayed"))
	require.Equal(t, wet.JobLogID, into[pruneView](t, first).JobLogID)
	other := r.admin(http.MethodPost, "/admin/retention/prune/trade-events", `{"days":99}`, "X-Idempotency-Key", "wet")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)

	logged := into[struct {
		Items      []pruneView
		NextCursor *string `json:"next_cursor"`
	}](t, r.admin(http.MethodGet, "/admin/retention/logs?job_name=trade_events&limit=2", ""))
	require.Len(t, logged.Items, 2)
	require.Equal(t, wet.JobLogID, logged.Items[0].JobLogID)
	require.NotNil(t, logged.NextCursor)
	status := into[struct {
		Scheduler string
		Jobs      []struct {
			JobName   string    `json:"job_name"`
			NextRunAt time.Time `json:"next_run_at"`
			LastOKAt  *string   `json:"last_ok_at"`
		}
	}](t, r.admin(http.MethodGet, "/admin/retention/status", ""))
	require.Equal(t, "river", status.Scheduler)
	require.Len(t, status.Jobs, len(jobs.Retentions()))
	require.NotNil(t, status.Jobs[0].LastOKAt)
	require.Equal(t, "03:15", status.Jobs[0].NextRunAt.Format("15:04"))

	seen := map[string]int{}
	for seen["retention.prune.completed"] < 3 {
		select {
		case f := <-frames:
			seen[f.event]++
		case <-time.After(10 * time.Second):
			require.Fail(t, "events are missing", "%v", seen)
		}
	}
	require.Equal(t, 3, seen["retention.prune.queued"])
	require.Equal(t, 3, seen["retention.prune.started"])
}

// Twenty requests at once start one run; the others get the answer that it runs.
func TestAPruneWhileAnotherRunsIsRefused(t *testing.T) {
	r := newFixture(t)
	var mu sync.Mutex
	statuses := map[int]int{}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			a, err := r.try(http.MethodPost, "/admin/retention/prune/job-runs", strings.NewReader(`{}`),
				"Authorization", "Bearer "+adminToken, "X-Idempotency-Key", fmt.Sprint(i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				statuses[a.status]++
			}
		})
	}
	group.Wait()
	require.Equal(t, map[int]int{http.StatusAccepted: 1, http.StatusConflict: 19}, statuses)
	require.Equal(t, 1, r.count(`select count(*) from river_job where kind = 'retention.prune'`))
	a := r.admin(http.MethodPost, "/admin/retention/prune/job-events", "", "X-Idempotency-Key", "other job")
	require.Equal(t, http.StatusAccepted, a.status, "another job is not in the way")
	r.exec(`update river_job set state = 'discarded', finalized_at = now()`)
	a = r.admin(http.MethodPost, "/admin/retention/prune/job-runs", "", "X-Idempotency-Key", "after")
	require.Equal(t, http.StatusAccepted, a.status, "a request whose job has ended blocks nothing: %s", a.body)
}

func TestBadPruneRequestsAreNamed(t *testing.T) {
	r := newFixture(t)
	for _, test := range []struct {
		job, body string
		status    int
		field     string
	}{
		{"trade-events", `{"days":0}`, 422, "days"},
		{"trade-events", `{"days":366}`, 422, "days"},
		{"match-runs", `{"days":731}`, 422, "days"},
		{"trade-events", `{"days":1.5}`, 400, "days"},
		{"trade-events", `{"days":"7"}`, 400, "days"},
		{"trade-events", `{"days":99999999999999999999}`, 400, "days"},
		{"trade-events", `{"batch_size":99}`, 422, "batch_size"},
		{"trade-events", `{"batch_size":100001}`, 422, "batch_size"},
		{"trade-events", `{"dry_run":"no"}`, 400, "dry_run"},
		{"trade-events", `{"dry_run":0}`, 400, "dry_run"},
		{"trade-events", `{"dryrun":false}`, 400, "dryrun"},
		{"trade-events", `[`, 400, "body"},
		{"orders", `{}`, 404, "job"},
		{"trade_events", `{}`, 404, "job"},
	} {
		a := r.admin(http.MethodPost, "/admin/retention/prune/"+test.job, test.body, "X-Idempotency-Key", "k")
		require.Equal(t, test.status, a.status, "%s: %s", test.body, a.body)
		p := into[struct{ Errors []struct{ Field string } }](t, a)
		require.Equal(t, test.field, p.Errors[0].Field, "%s: %s", test.body, a.body)
	}
	a := r.admin(http.MethodPost, "/admin/retention/prune/match-runs", `{"days":730}`, "X-Idempotency-Key", "k")
	require.Equal(t, http.StatusAccepted, a.status)
	require.Equal(t, http.StatusBadRequest, r.admin(http.MethodPost, "/admin/retention/prune/job-runs", `{}`).status, "no key")
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodPost, "/admin/retention/prune/job-runs", `{}`, "X-Idempotency-Key", "k").status)
	for _, path := range []string{"logs?limit=0", "logs?job_name=orders", "logs?cursor=!"} {
		require.Equal(t, http.StatusBadRequest, r.admin(http.MethodGet, "/admin/retention/"+path, "").status, path)
	}
	require.Equal(t, http.StatusNotFound, r.admin(http.MethodGet, "/admin/retention/logs/999999", "").status)
	require.Equal(t, 1, r.count(`select count(*) from retention_job_log`))
}
