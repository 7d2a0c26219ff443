package health

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"millrace/ops"
)

// The thresholds of the event feed.
const (
	lagSlow  = time.Second
	feedGone = 10 * time.Second
)

func (c checks) sse(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "sse.md#sse"}
	if c.Feed != nil {
		feed := c.Feed()
		r.Add("subscribers", feed.Subscribers)
		for _, part := range []struct {
			name string
			down time.Duration
		}{{"listener", feed.ListenerDown}, {"relay", feed.RelayDown}} {
			r.Add(part.name+"_down_s", part.down.Round(time.Second).Seconds())
			if part.down > feedGone {
				r.Raise(ops.StatusError, fmt.Sprintf("the %s has been down for %v", part.name, part.down.Round(time.Second)),
					"The feed needs a direct connection to Postgres: not through PgBouncer, and below its connection limit.")
			} else if part.down > 0 {
				r.Raise(ops.StatusDegraded, fmt.Sprintf("the %s has been down for %v", part.name, part.down.Round(time.Second)),
					"It reconnects by itself; if it does not, look at Postgres.")
			}
		}
	}
	counts, err := c.Store.EventLog.Counters(ctx, uuid.NullUUID{})
	if err != nil {
		return failed(r, err)
	}
	waiting, relayed, err := c.Store.EventLog.Waiting(ctx)
	if err != nil {
		return failed(r, err)
	}
	lag := waiting
	if c.Feed != nil {
		lag = max(lag, c.Feed().Lag)
	} else if !relayed {
		r.Raise(ops.StatusDegraded, "no process is the relay", "Is an API process up? Each stands for relay.")
	}
	drops := counts.Hour["sse.drop"]
	var events int64
	for name, n := range counts.Hour {
		if name != "sse.drop" && name != "db.connection_error" {
			events += n
		}
	}
	r.Add("events_1h", events)
	r.Add("drops_1h", drops)
	r.Add("relay_lag_ms", milliseconds(lag))
	if lag > lagSlow {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("events are passed on %v late", lag.Round(10*time.Millisecond)),
			"A transaction that does not end holds them up: select * from pg_stat_activity order by xact_start.")
	}
	if drops > 0 {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d subscribers were too slow and were disconnected in the last hour", drops),
			"They resume by themselves; if it continues, look at their network and at proxies that buffer.")
	}
	r.Raise(ops.StatusOK, fmt.Sprintf("%d events in the last hour", events), "")
	return r
}
