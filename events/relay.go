package events

import (
	"context"
	"slices"
	"time"

	"millrace/store/eventlog"
)

const (
	// tickBusy and tickIdle are the pauses between looks while events come and while none do. A relay that
	// sleeps is woken by the first event; it looks meanwhile for events that a transaction without events of its
	// own, such as one that was rolled back, held up.
	tickBusy  = time.Millisecond
	tickAwake = 10 * time.Millisecond // no event comes, but an open transaction does not let the relay sleep
	tickIdle  = 50 * time.Millisecond
	// tickEvent is how much longer the pause is for each event over tickSoon that was found lately: a look takes as long for
	// none and for a hundred, and a fleet that works thousands of jobs a second, whose events come by the hundred, needs the
	// processors. For the same reason the pause is as long then as the look took, at least, which is long where the server is
	// busy, but not for that longer than tickSlow. It is never longer than tickLoaded, which only tens of thousands of events a
	// second reach. 5,000 a second, 30 of them lately, are delivered as soon as one is.
	tickEvent  = 40 * time.Microsecond
	tickSoon   = 100
	tickSlow   = 20 * time.Millisecond
	tickLoaded = 40 * time.Millisecond
	// hintLate is how long the others' listeners wait for their hint while one look after the other finds events.
	hintLate = 10 * time.Millisecond
	// busyFor is how long after an event more are expected.
	busyFor    = 100 * time.Millisecond
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

// notifyNew looks for new events, publishes them to this process's own subscribers, and notifies the others'
// listeners, once for all that it finds: NOTIFY takes a lock of the whole server at commit.
func (f *Feed) notifyNew(ctx context.Context, session *eventlog.Session) error {
	if err := session.AwaitWaking(ctx); err != nil {
		return err
	}
	// What came between two relays gets its hint now.
	at := f.hub.place()
	if err := session.Notify(ctx, at); err != nil {
		return err
	}
	asleep, lately := false, 0
	var last time.Time
	for {
		began := time.Now()
		found, err := f.pass(ctx, session, &at)
		lately = found + lately/2
		switch {
		case err != nil:
			return err
		case found > 0:
			last = time.Now()
			if asleep {
				asleep, err = false, session.Wake(ctx)
			}
		case !asleep && time.Since(last) > busyFor:
			if asleep, err = session.Sleep(ctx); err == nil && asleep {
				continue // with a look at what was committed before
			}
		}
		switch {
		case err != nil:
		case asleep:
			var woken bool
			if woken, err = session.Woken(ctx, tickIdle); err == nil && woken {
				// At once, and not when the first event can be read: until then each commit would notify, and wait for the
				// one before it to reach the disk.
				asleep, last = false, time.Now()
				err = session.Wake(ctx)
			}
		case time.Since(last) > busyFor:
			err = pause(ctx, tickAwake)
		default:
			err = pause(ctx, afterLook(lately, time.Since(began)))
		}
		if err != nil {
			return err
		}
	}
}

// afterLook is the pause after a look that took so long, while more events are expected and so many were found lately.
func afterLook(lately int, took time.Duration) time.Duration {
	if lately <= tickSoon {
		return tickBusy
	}
	return min(max(tickBusy+time.Duration(lately-tickSoon)*tickEvent, min(took, tickSlow)), tickLoaded)
}

// relayLog is the part of a relay's session that pass needs.
type relayLog interface {
	Events(ctx context.Context, after eventlog.Cursor, limit int) (events []eventlog.Event, more bool, err error)
	Notify(ctx context.Context, upTo eventlog.Cursor) error
}

// pass publishes every event after at, moves at, and notifies of them. It returns how many it found. The hub's place would not
// do for at: this process's own listener may have passed events that no other has.
func (f *Feed) pass(ctx context.Context, session relayLog, at *eventlog.Cursor) (found int, err error) {
	if place := f.hub.place(); place.Epoch != at.Epoch {
		*at = place // the log was replaced
	}
	hinted, upTo := time.Now(), *at
	for more := true; more; {
		var events []eventlog.Event
		if events, more, err = session.Events(ctx, *at, lookPage); err != nil {
			return found, err
		}
		for page := range slices.Chunk(events, publishPage) {
			waiting := f.publish(page)
			found += len(page)
			*at = page[len(page)-1].Cursor
			last := !more && *at == events[len(events)-1].Cursor
			if last || time.Since(hinted) > f.hintLate {
				if err := session.Notify(ctx, *at); err != nil {
					return found, err
				}
				hinted, upTo = time.Now(), *at
			}
			if err := f.spaced(ctx, waiting); err != nil {
				return found, err
			}
		}
	}
	if *at != upTo { // no event came after a full page
		err = session.Notify(ctx, *at)
	}
	return found, err
}
