package events

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// relayLock is the advisory lock that one relay of the fleet holds: "mill" in ASCII.
	relayLock = 0x6d696c6c
	// tickBusy and tickIdle are the pauses between looks while events come and while none do.
	tickBusy   = 20 * time.Millisecond
	tickIdle   = 50 * time.Millisecond
	electEvery = time.Second
)

// relay waits to be the one of the fleet, then notifies of new events, many commits at a time. The
// lock goes with the connection, so a relay that dies is followed within a second.
func (f *Feed) relay(ctx context.Context, conn *pgx.Conn) error {
	for {
		var elected bool
		if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, relayLock).Scan(&elected); err != nil {
			return fmt.Errorf("stand for relay: %w", err)
		}
		if elected {
			return f.notifyNew(ctx, conn)
		}
		if err := pause(ctx, electEvery); err != nil {
			return err
		}
	}
}

func (f *Feed) notifyNew(ctx context.Context, conn *pgx.Conn) error {
	bounds, err := f.opts.Store.EventBounds(ctx)
	if err != nil {
		return err
	}
	at := bounds.Tail
	f.opts.Logger.InfoContext(ctx, "event relay elected")
	for {
		newest, found, err := f.opts.Store.NewestEvent(ctx, at)
		if err != nil {
			return err
		}
		tick := tickIdle
		if found {
			at, tick = newest, tickBusy
			if _, err := conn.Exec(ctx, `select pg_notify($1, $2)`, channel, at.String()); err != nil {
				return fmt.Errorf("notify: %w", err)
			}
		} else if err := conn.Ping(ctx); err != nil { // the lock is only as alive as the connection
			return fmt.Errorf("ping: %w", err)
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
