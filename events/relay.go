package events

import (
	"context"
	"time"

	"millrace/store/eventlog"
)

const (
	// tickBusy and tickIdle are the pauses between looks while events come and while none do.
	tickBusy = 20 * time.Millisecond
	tickIdle = 50 * time.Millisecond
	// busyFor is how long after an event more are expected.
	busyFor    = 5 * time.Second
	electEvery = time.Second
)

// relay waits to be elected, the only one of the fleet, then notifies of new events, many commits at a time. The
// lock goes with the session, so another replaces a dead relay within a second.
func (f *Feed) relay(ctx context.Context, session *eventlog.Session) error {
	for {
		elected, err := session.Elect(ctx)
		if err != nil {
			return err
		}
		if elected {
			f.logger.InfoContext(ctx, "event relay elected")
			return f.notifyNew(ctx, session)
		}
		if err := pause(ctx, electEvery); err != nil {
			return err
		}
	}
}

// notifyNew notifies at most once a tick. A tick on which no transaction of the server ended asks
// for one place and touches no table.
func (f *Feed) notifyNew(ctx context.Context, session *eventlog.Session) error {
	bounds, _, err := session.Bounds(ctx)
	if err != nil {
		return err
	}
	at, _, err := session.Newest(ctx, bounds.Floor)
	if err != nil {
		return err
	}
	// What came between two relays gets its hint now.
	if err := session.Notify(ctx, at); err != nil {
		return err
	}
	var seen eventlog.Cursor
	var last time.Time
	for {
		bound, err := session.Bound(ctx)
		if err != nil {
			return err
		}
		if bound != seen {
			seen = bound
			newest, found, err := session.Newest(ctx, at)
			if err != nil {
				return err
			}
			if found {
				at, last = newest, time.Now()
				if err := session.Notify(ctx, at); err != nil {
					return err
				}
			}
		}
		tick := tickIdle
		if time.Since(last) < busyFor {
			tick = tickBusy
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}
