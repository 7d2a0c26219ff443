package events

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/eventlog"
	"millrace/store/stores"
)

const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
	// steady is how long a session has to last before its loss is retried without delay again.
	steady = time.Minute
)

// Options make a Feed.
type Options struct {
	Store    *stores.Set
	Metrics  *ops.Metrics
	Logger   *slog.Logger
	Reporter *ops.Reporter // of internal errors; may be nil
}

// Feed is a process's part in the event feed: its listener, its hub, and its candidate for relay.
type Feed struct {
	store    *stores.Set
	metrics  *ops.Metrics
	logger   *slog.Logger
	failures ops.Failures
	hub      *Hub
	hintLate time.Duration // the constant; a test has each hint be late
	pulse    pulse
	cancel   context.CancelFunc
	loops    routine.Group
	stop     sync.Once
}

// NewFeed makes a feed that is not started.
func NewFeed(opts Options) *Feed {
	return &Feed{
		store: opts.Store, metrics: opts.Metrics, logger: opts.Logger,
		failures: ops.Failures{Logger: opts.Logger, Metrics: opts.Metrics, Reporter: opts.Reporter},
		hub:      newHub(opts.Store.EventLog, opts.Metrics),
		hintLate: hintLate,
	}
}

// Hub is where to subscribe once the feed has started.
func (f *Feed) Hub() *Hub { return f.hub }

// Start finds the log's end and follows it from there until Stop.
func (f *Feed) Start(ctx context.Context) error {
	if f.cancel != nil {
		return errors.New("event feed already started")
	}
	session, err := f.store.EventLog.OpenSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close(ctx)
	if err := f.place(ctx, session); err != nil {
		return err
	}
	f.pulse.begin(time.Now())
	var loops context.Context
	loops, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.keep(loops, "listener", func() { f.inSessions(loops, "listener", f.listen) })
	f.keep(loops, "relay", func() { f.inSessions(loops, "relay", f.relay) })
	f.keep(loops, "counters", func() { f.count(loops) })
	return nil
}

// Stop ends the feed and every subscription. Safe to call twice, and before Start.
func (f *Feed) Stop(context.Context) error {
	f.stop.Do(func() {
		if f.cancel != nil {
			f.cancel()
			_ = f.loops.Wait() // keep has handled their errors
		}
		f.hub.close()
	})
	return nil
}

// keep runs a part of the feed, and again after a panic.
func (f *Feed) keep(ctx context.Context, part string, loop func()) {
	f.loops.Keep(ctx, retryFirst, func() error { loop(); return nil }, func(err error) {
		f.pulse.lost(part)
		f.failures.Report(ctx, "event feed failed", err, slog.String("part", part))
	})
}

// inSessions runs a loop on a session of its own, and reconnects after each lost one.
func (f *Feed) inSessions(ctx context.Context, part string, loop func(context.Context, *eventlog.Session) error) {
	wait := retryFirst
	for {
		start := time.Now()
		err := f.inSession(ctx, loop)
		f.pulse.lost(part)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > steady {
			wait = retryFirst
		}
		f.logger.WarnContext(ctx, "event feed interrupted", "part", part, "error", err, "again_in", wait)
		// Spread, so that the processes of a fleet do not all return at once.
		if pause(ctx, wait/2+rand.N(wait/2)) != nil {
			return
		}
		wait = min(2*wait, retryMost)
	}
}

func (f *Feed) inSession(ctx context.Context, loop func(context.Context, *eventlog.Session) error) error {
	session, err := f.store.EventLog.OpenSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close(ctx)
	return loop(ctx, session)
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
