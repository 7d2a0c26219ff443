package events

import (
	"context"
	"slices"
	"time"

	"millrace/store/eventlog"
)

const (
	// pollEvery is how often a listener polls without a hint.
	pollEvery = time.Second
	// lookPage is how many events are read at once, and publishPage how many are published at once.
	lookPage    = 8 * publishPage
	publishPage = queueLength / 2
)

// place makes sure that the hub's place can be followed from, and else moves it to the log's end:
// the first time, and when the log was replaced.
func (f *Feed) place(ctx context.Context, session *eventlog.Session) error {
	at := f.hub.place() // before the bounds: the relay moves it meanwhile, also beyond them
	bounds, _, err := session.Bounds(ctx)
	if err != nil {
		return err
	}
	if bounds.Covers(at) || f.hub.place() != at {
		return nil
	}
	end, _, err := session.Newest(ctx, bounds.Floor)
	if err != nil {
		return err
	}
	if at != (eventlog.Cursor{}) {
		f.logger.WarnContext(ctx, "the event log was replaced; subscribers start again")
	}
	f.hub.restart(end)
	return nil
}

// listen waits for hints and publishes what is new. It LISTENs first and catches up then, so that
// no event is missed between the two.
func (f *Feed) listen(ctx context.Context, session *eventlog.Session) error {
	if err := session.Listen(ctx); err != nil {
		return err
	}
	if err := f.place(ctx, session); err != nil {
		return err
	}
	var polled time.Time
	for {
		if err := f.catchUp(ctx, session); err != nil {
			return err
		}
		if time.Since(polled) >= pollEvery {
			polled = time.Now()
			if err := f.check(ctx, session); err != nil {
				return err
			}
		}
		if _, err := session.Hint(ctx, f.hub.place, pollEvery); err != nil {
			return err
		}
	}
}

// catchUp publishes every event after the hub's place that is safe to read.
func (f *Feed) catchUp(ctx context.Context, session *eventlog.Session) error {
	for more := true; more; {
		var events []eventlog.Event
		var err error
		if events, more, err = session.Events(ctx, f.hub.place(), lookPage); err != nil {
			return err
		}
		for page := range slices.Chunk(events, publishPage) {
			if err := f.spaced(ctx, f.publish(page)); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish hands events out, and returns how many wait in the longest queue.
func (f *Feed) publish(events []eventlog.Event) (waiting int) {
	f.lag(time.Since(events[0].At))
	return f.hub.publish(events)
}

// spaced gives subscribers a moment to take what they were just given, so that a burst longer than a
// queue drops only subscribers that do not take at all.
func (f *Feed) spaced(ctx context.Context, waiting int) error {
	for try := 0; waiting > queueLength/2 && try < 10; try++ {
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
		waiting = f.hub.waiting()
	}
	return nil
}

// check makes sure once in a while that the log is still the same, which also pings the server,
// and reports how long events have been kept waiting by a transaction that does not end.
func (f *Feed) check(ctx context.Context, session *eventlog.Session) error {
	at := f.hub.place() // see place
	bounds, waiting, err := session.Bounds(ctx)
	if err != nil {
		return err
	}
	if !f.hub.raise(bounds.Floor) && !bounds.Covers(at) && f.hub.place() == at {
		return f.place(ctx, session)
	}
	relayed, err := session.Relayed(ctx)
	if err != nil {
		return err
	}
	f.lag(waiting)
	f.pulse.listened(time.Now(), relayed)
	return nil
}

func (f *Feed) lag(d time.Duration) {
	f.metrics.SSERelayLag.Set(max(0, d.Seconds()))
	f.pulse.setLag(max(0, d))
}
