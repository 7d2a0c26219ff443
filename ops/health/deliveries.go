package health

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"millrace/ops"
	"millrace/store/webhooks"
)

// The thresholds of schedules.
const slotLate, slotTooLate = time.Minute, 10 * time.Minute

func (c checks) schedules(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "schedules.md#schedules"}
	trouble, err := c.Store.Schedules.Troubled(ctx, lostNamed)
	if err != nil {
		return failed(r, err)
	}
	if err := c.lost(ctx, &r, "schedule"); err != nil {
		return failed(r, err)
	}
	r.Add("failing", trouble.Failing)
	r.Add("missed_1h", trouble.Missed)
	r.Add("late_s", trouble.Late.Round(time.Millisecond).Seconds())
	if trouble.Late > slotLate {
		status := ops.StatusDegraded
		if trouble.Late > slotTooLate {
			status = ops.StatusError
		}
		r.Raise(status, fmt.Sprintf("the slot of schedule %s is late by %v", trouble.LateID, trouble.Late.Round(time.Second)),
			"Does a worker work the queue tunes? Start one: millrace worker --queues tunes:1.")
	}
	if trouble.Failing > 0 {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d schedules fail each time: %s", trouble.Failing, listed(trouble.Named)),
			"Read why: GET /schedules/{id}/history. Correct the request, or pause the schedule.")
	}
	if trouble.Missed > 0 {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d slots of the last hour were missed and are not made up for", trouble.Missed),
			"Run the schedules that must not wait: POST /schedules/{id}/run. Then find out why no worker was up.")
	}
	r.Raise(ops.StatusOK, "no slot is late, and none failed each time", "")
	return r
}

// The thresholds of webhooks.
const (
	hookFailing             = time.Hour
	hookBehind, hookStopped = time.Minute, 10 * time.Minute
)

func (c checks) webhooks(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "webhooks.md#webhooks"}
	trouble, err := c.Store.Webhooks.Troubled(ctx, lostNamed)
	if err != nil {
		return failed(r, err)
	}
	r.Add("dead", trouble.Dead.Count)
	r.Add("failing", trouble.Failing.Count)
	r.Add("failing_s", seconds(trouble.Failing))
	r.Add("behind", trouble.Behind.Count)
	r.Add("behind_s", seconds(trouble.Behind))
	if late := trouble.Behind.For; late > hookBehind {
		status := ops.StatusDegraded
		if late > hookStopped {
			status = ops.StatusError
		}
		r.Raise(status, fmt.Sprintf("events have waited %v to be delivered, and no receiver refused them: %s", late.Round(time.Second), listed(trouble.Behind.Named)),
			"Does a worker work the queue webhooks? Start one: millrace worker --queues webhooks:4. If one is up, a receiver is slow.")
	}
	if trouble.Dead.Count > 0 {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d webhooks are dead, their events are not delivered: %s", trouble.Dead.Count, listed(trouble.Dead.Named)),
			"Have the receiver repaired, then resume the webhook; or delete it. /admin/webhooks has both.")
	}
	if trouble.Failing.For > hookFailing {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("webhooks have been failing for up to %v: %s", trouble.Failing.For.Round(time.Second), listed(trouble.Failing.Named)),
			"Read last_error: GET /webhooks/{id}. After three days of failures a webhook is dead.")
	}
	r.Raise(ops.StatusOK, "no delivery is late", "")
	return r
}

func seconds(group webhooks.Group) float64 { return group.For.Round(time.Millisecond).Seconds() }

func listed(ids []uuid.UUID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	return strings.Join(names, ", ")
}
