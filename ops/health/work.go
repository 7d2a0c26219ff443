package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"millrace/ops"
	"millrace/store/workers"
)

// The thresholds of retention.
const (
	runLate, runMissing = 26 * time.Hour, 48 * time.Hour
	failuresInARow      = 3
)

func (c checks) retention(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "retention.md#retention"}
	status, err := c.Store.Upkeep.RetentionStatus(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("scheduler", status.Scheduler)
	for _, job := range status.Jobs {
		since := job.Since // a job that never ran is missed from its beginning on
		if job.LastOK != nil {
			since = *job.LastOK
		}
		last := map[string]any{
			"last_run_at": job.LastRunAt, "last_ok_at": job.LastOK, "rows_deleted": job.Deleted,
			"consecutive_failures": job.Failures, "running": job.Running, "error": job.Error,
		}
		r.Add(job.Name, last)
		late := status.Now.Sub(since)
		switch {
		case job.Failures >= failuresInARow:
			r.Raise(ops.StatusError, fmt.Sprintf("%s has failed %d times in a row", job.Name, job.Failures), "Read the error in /admin/retention/logs.")
		case late > runMissing:
			r.Raise(ops.StatusError, fmt.Sprintf("%s last ended well %s", job.Name, ago(status.Now, job.LastOK)),
				"Does a worker work the queue retention, or is pg_cron's launcher up? See /admin/retention/status.")
		case job.Failures > 0:
			r.Raise(ops.StatusDegraded, fmt.Sprintf("the last run of %s failed", job.Name), "Read the error in /admin/retention/logs.")
		case late > runLate:
			r.Raise(ops.StatusDegraded, fmt.Sprintf("%s last ended well %s", job.Name, ago(status.Now, job.LastOK)),
				"Does a worker work the queue retention, or is pg_cron's launcher up? See /admin/retention/status.")
		}
	}
	broken, err := c.Store.Lifecycle.Failed(ctx)
	if err = errors.Join(err, c.lost(ctx, &r, "deletion")); err != nil {
		return failed(r, err)
	}
	r.Add("failed_deletions", broken)
	spaces, err := c.Store.Lifecycle.FailedWorkspaces(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("failed_workspace_deletions", spaces)
	if spaces > 0 {
		r.Raise(ops.StatusDegraded, counted(spaces, "deletion")+" of workspaces failed: the rows still take room",
			"Read their errors: GET /admin/workspace-deletions. Deleting the workspace again takes one up.")
	}
	if broken > 0 {
		r.Raise(ops.StatusDegraded, counted(broken, "deletion")+" failed: what is hidden still takes room",
			"Read their errors: GET /deletions of the workspace. Deleting the same id again takes one up.")
	}
	r.Raise(ops.StatusOK, counted(len(status.Jobs), "job")+", run by "+status.Scheduler, "")
	return r
}

// The thresholds of idempotency keys.
const (
	expiredMany, expiredTooMany = 100, 1000
	pendingStuck                = 10 * time.Minute
)

func (c checks) idempotency(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "idempotency.md#idempotency"}
	state, err := c.Store.Upkeep.IdempotencyState(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("total", state.Total)
	r.Add("expired", state.Expired)
	r.Add("pending", state.Pending)
	r.Add("oldest_pending_minutes", state.OldestAge.Round(time.Second).Minutes())
	if state.OldestAge > pendingStuck {
		r.Raise(ops.StatusError, fmt.Sprintf("a request has held its key for %v", state.OldestAge.Round(time.Second)),
			"Find its transaction and end it: select pid, xact_start, query from pg_stat_activity order by xact_start.")
	}
	const advice = "The retention job idempotency_keys should have taken them: see /admin/retention/status."
	if state.Expired > expiredTooMany {
		r.Raise(ops.StatusError, fmt.Sprintf("over %d expired keys await the retention job", expiredTooMany), advice)
	} else if state.Expired > expiredMany {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d expired keys await the retention job", state.Expired), advice)
	}
	r.Raise(ops.StatusOK, counted(state.Total, "key"), "")
	return r
}

// The thresholds of tunes.
const (
	queuedLong = 10 * time.Minute
	// jobStuck is above every kind's time limit.
	jobStuck = time.Hour
	// noticed is how long work may wait before the lack of a worker counts.
	noticed = 3 * time.Second
)

// lostNamed is how many pieces of work without a job are named.
const lostNamed = 5

// lost names work that is active without a job, of some kinds.
func (c checks) lost(ctx context.Context, r *ops.Report, kinds ...string) error {
	lost, err := c.Store.Workers.LostWork(ctx, 1000)
	if err != nil {
		return err
	}
	var names []string
	for _, work := range lost {
		if slices.Contains(kinds, work.What) {
			names = append(names, work.What+" "+work.ID.String())
		}
	}
	r.Add("without_job", len(names))
	if len(names) > 0 {
		r.Raise(ops.StatusDegraded,
			fmt.Sprintf("%d active without a job: %s", len(names), strings.Join(names[:min(lostNamed, len(names))], ", ")),
			"A worker takes it up within a minute, if one is up; its log says what it did.")
	}
	return nil
}

// unserved raises an error where work waits in a queue and no worker that is heard works it: that of documents,
// or any other.
func unserved(state workers.State, r *ops.Report, documents bool) {
	for _, q := range state.Queues {
		if q.Workers == 0 && q.Oldest > noticed && q.Documents() == documents {
			r.Raise(ops.StatusError, fmt.Sprintf("work waits in the queue %s and no worker works it", q.Queue),
				fmt.Sprintf("Start one: millrace worker --queues %s:2. Or find out why it stopped.", q.Queue))
		}
	}
}

// silentFor is how long a worker that went silent is reported; by then its work runs elsewhere.
const silentFor = 10 * time.Minute

// fleet names workers that went silent or whose clock is off.
func (c checks) fleet(ctx context.Context, r *ops.Report) error {
	state, err := c.Store.Workers.State(ctx)
	if err != nil {
		return err
	}
	unserved(state, r, false)
	for _, w := range state.Silent { // the latest first
		if w.For < silentFor {
			r.Raise(ops.StatusDegraded, fmt.Sprintf("worker %s has not been heard for %v", w.Worker, w.For.Round(time.Second)),
				"Its jobs run again elsewhere. Look at its machine: it is frozen, cut off or gone.")
		}
	}
	for i, clock := range state.Clocks { // the worst first
		if i == 0 {
			r.Add("worst_clock_ahead_s", clock.Ahead.Round(time.Millisecond).Seconds())
		}
		if clock.Ahead.Abs() > clockOff {
			r.Raise(ops.StatusDegraded, fmt.Sprintf("the clock of worker %s is off by %v", clock.Worker, clock.Ahead.Round(time.Second)),
				"Set its machine's clock by NTP. What decides goes by the database's clock meanwhile.")
		}
	}
	return nil
}

func (c checks) tunes(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "backtests.md#tunes"}
	counts, err := c.Store.EventLog.Counters(ctx, uuid.NullUUID{})
	if err != nil {
		return failed(r, err)
	}
	state, err := c.Store.Upkeep.TunesState(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("active", counts.Active("tune"))
	r.Add("completed_24h", state.Completed24h)
	r.Add("failed_24h", state.Failed24h)
	r.Add("average_duration_s", state.Average.Round(time.Millisecond).Seconds())
	r.Add("queue_age_s", state.OldestWaiting.Round(time.Millisecond).Seconds())
	r.Add("longest_running_s", state.LongestRunning.Round(time.Millisecond).Seconds())
	r.Add("workers", state.Workers)
	r.Add("silent_workers", state.Silent)
	if state.Workers == 0 && (state.OldestWaiting > noticed || state.LongestRunning > 0) {
		r.Raise(ops.StatusError, "work waits and no worker is heard", "Start one: millrace worker --queues trials:2,tunes:2. Or find out why it stopped.")
	}
	r.Add("of_later_engine", state.Later)
	if state.Workers > 0 && state.Later > 0 {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d running tunes are of a later engine than any worker that is heard", state.Later),
			"Start a worker of the release that began them, or cancel and submit them again.")
	}
	if state.OldestWaiting > queuedLong {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("a job has been waiting for %v", state.OldestWaiting.Round(time.Second)),
			"Add workers or slots, or find out what they are busy with: /admin.")
	}
	if state.LongestRunning > jobStuck {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("a job has been running for %v", state.LongestRunning.Round(time.Second)),
			"It should have been cut off: stop the worker that holds it, and another runs it again.")
	}
	if err := errors.Join(c.lost(ctx, &r, "tune", "wfo", "run_plan", "strategy"), c.fleet(ctx, &r)); err != nil {
		return failed(r, err)
	}
	if state.Failed24h > state.Completed24h {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%s failed in 24 h, %d completed", counted(state.Failed24h, "tune"), state.Completed24h),
			"Read their errors: GET /backtests/tunes?status=failed.")
	}
	r.Raise(ops.StatusOK, fmt.Sprintf("%d active, %s", counts.Active("tune"), counted(state.Workers, "worker")), "")
	return r
}

// The thresholds of ingestion.
const backlogLong = 30 * time.Minute

func (c checks) ingestion(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "ingestion.md#ingestion"}
	state, err := c.Store.Upkeep.IngestionState(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("pending", state.Pending)
	for _, source := range state.Sources {
		r.Add(source.SourceType, map[string]any{
			"last_success_at": source.LastOK, "last_failure_at": source.LastFailure, "last_error": source.Reason,
		})
		if source.LastFailure != nil && (source.LastOK == nil || source.LastFailure.After(*source.LastOK)) {
			r.Raise(ops.StatusDegraded, fmt.Sprintf("the last ingestion of %s failed", source.SourceType),
				"Read its reason: GET /ingest/jobs?status=failed.")
		}
	}
	if err := c.lost(ctx, &r, "ingestion", "reembed"); err != nil {
		return failed(r, err)
	}
	fleet, err := c.Store.Workers.State(ctx)
	if err != nil {
		return failed(r, err)
	}
	unserved(fleet, &r, true)
	if state.Backlog > backlogLong {
		r.Raise(ops.StatusError, fmt.Sprintf("%d documents are waiting, more than 100 of them for %v", state.Pending, state.Backlog.Round(time.Minute)),
			"Is a worker on the queue ingestion? Add slots: millrace worker --queues ingestion:4.")
	}
	r.Raise(ops.StatusOK, fmt.Sprintf("%d waiting", state.Pending), "")
	return r
}

// counted is a number of things, of which there may be one.
func counted[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
