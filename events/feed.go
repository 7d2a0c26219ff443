package events

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/ops"
	"millrace/store"
)

const (
	channel = "millrace_events"
	// pollEvery is how often a listener looks by itself, hint or not.
	pollEvery = time.Second
	// batch is how many events are read and published at once.
	batch = 1000
)

// Options make a Feed.
type Options struct {
	Store   *store.Store
	Pool    *pgxpool.Pool // its configuration dials the listener's and the relay's own connections
	Metrics *ops.Metrics
	Logger  *slog.Logger
}

// Feed is a process's part in the event feed: its listener, its hub, and its candidate for relay.
type Feed struct {
	opts   Options
	hub    *Hub
	cancel context.CancelFunc
	loops  sync.WaitGroup
	stop   sync.Once
}

// NewFeed makes a feed that is not started.
func NewFeed(opts Options) *Feed { return &Feed{opts: opts} }

// Hub is where to subscribe; nil before Start.
func (f *Feed) Hub() *Hub { return f.hub }

// Start finds the log's end and follows it until Stop.
func (f *Feed) Start(ctx context.Context) error {
	bounds, err := f.opts.Store.EventBounds(ctx)
	if err != nil {
		return err
	}
	f.hub = newHub(f.opts.Metrics, bounds.Tail)
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel = cancel
	f.loops.Go(func() { f.forever(loops, "listener", f.listen) })
	f.loops.Go(func() { f.forever(loops, "relay", f.relay) })
	return nil
}

// Stop ends the feed and every subscription. Safe to call twice.
func (f *Feed) Stop(context.Context) error {
	f.stop.Do(func() {
		if f.cancel != nil {
			f.cancel()
			f.loops.Wait()
			f.hub.close()
		}
	})
	return nil
}

// forever runs a loop on a connection of its own, again after each loss of it.
func (f *Feed) forever(ctx context.Context, name string, loop func(context.Context, *pgx.Conn) error) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		start := time.Now()
		err := f.connected(ctx, loop)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > time.Minute {
			pause = 50 * time.Millisecond
		}
		f.opts.Logger.WarnContext(ctx, "event feed interrupted", "part", name, "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

func (f *Feed) connected(ctx context.Context, loop func(context.Context, *pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, f.opts.Pool.Config().ConnConfig.Copy())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // the server ends the session anyway when the socket closes
	}()
	return loop(ctx, conn)
}

// listen waits for hints and publishes what is new. It LISTENs first and catches up then, so that
// nothing falls between.
func (f *Feed) listen(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, pollEvery)
		_, err := conn.WaitForNotification(wait)
		timedOut := wait.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !timedOut:
			return fmt.Errorf("wait for a notification: %w", err)
		case timedOut:
			if err := conn.Ping(ctx); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		}
	}
}

// catchUp publishes every settled event after the hub's place.
func (f *Feed) catchUp(ctx context.Context) error {
	for {
		events, err := f.opts.Store.Events(ctx, store.EventScope{}, f.hub.at, store.Cursor{}, batch)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil
		}
		f.opts.Metrics.SSERelayLag.Set(time.Since(events[len(events)-1].At).Seconds())
		f.hub.publish(events)
		if len(events) < batch {
			return nil
		}
	}
}
