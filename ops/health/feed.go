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
	state, err := c.Store.EventLog.State(ctx)
	if err != nil {
		return failed(r, err)
	}
	lag := state.Waiting
	if c.Feed != nil {
		lag = max(lag, c.Feed().Lag)
	} else if !state.Relayed {
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
		late := fmt.Sprintf("events are passed on %v late", lag.Round(10*time.Millisecond))
		if len(state.Blockers) > 0 && state.Waiting > lagSlow {
			first := state.Blockers[0]
			r.Add("held_up_by", first.String())
			r.Raise(ops.StatusDegraded, fmt.Sprintf("%s: %s has written events and not ended since %s", late, first, first.Since.UTC().Format(time.TimeOnly)),
				"End it: "+first.End()+"; what it did is rolled back whole.")
		} else {
			r.Raise(ops.StatusDegraded, late, "It catches up by itself; if it does not, look at the server's load.")
		}
	}
	if drops > 0 {
		r.Raise(ops.StatusDegraded, counted(drops, "subscriber")+" disconnected in the last hour for being too slow",
			"They resume by themselves; if it continues, look at their network and at proxies that buffer.")
	}
	r.Raise(ops.StatusOK, counted(events, "event")+" in the last hour", "")
	return r
}
