package main

import (
	"context"
	"log/slog"
	"time"

	"millrace/events"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/eventlog"
	"millrace/store/stores"
)

// relaySleeps reports that a relay runs and finds nothing: it holds the lock of eventlog.Session.Sleep.
const relaySleeps = `
	select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 and classid = 0 and objid = 1835625581
	                  and database = (select oid from pg_database where datname = current_database()))`

// awaitRelay waits until a feed's relay is elected and sleeps: to connect and to plan is not what jobs take.
func (q *benchQueue) awaitRelay(ctx context.Context) error {
	for {
		var sleeps bool
		if err := q.owner.QueryRow(ctx, relaySleeps).Scan(&sleeps); err != nil || sleeps {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// feed runs an event feed with one subscriber, until stop.
func (q *benchQueue) feed(ctx context.Context) (stop func(), err error) {
	f := events.NewFeed(events.Options{Store: stores.New(q.pool, nil), Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler)})
	if err := f.Start(ctx); err != nil {
		return nil, err
	}
	if err := q.awaitRelay(ctx); err != nil {
		_ = f.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	sub := f.Hub().Subscribe(eventlog.Scope{}, nil)
	done := make(chan struct{})
	routine.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-sub.Ready():
				if _, err := sub.Take(ctx); err != nil {
					return err
				}
			}
		}
	}, func(error) { close(done) })
	return func() {
		cancel()
		<-done
		sub.Close()
		_ = f.Stop(context.WithoutCancel(ctx))
	}, nil
}
