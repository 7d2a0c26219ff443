package webhook

import (
	"context"
	"log/slog"
	"time"

	"millrace/ops/routine"
	"millrace/store/webhooks"
)

// dispatchEvery is how often a worker looks which webhooks are behind; of the fleet's workers one does.
const dispatchEvery = time.Second

// Dispatcher has webhooks that are behind delivered.
type Dispatcher struct {
	webhooks *webhooks.Store
	logger   *slog.Logger
	every    time.Duration
	loops    routine.Group
	cancel   context.CancelFunc
}

// NewDispatcher makes one that looks as often as every says; 0: once a second.
func NewDispatcher(st *webhooks.Store, logger *slog.Logger, every time.Duration) *Dispatcher {
	orElse(&every, dispatchEvery)
	return &Dispatcher{webhooks: st, logger: logger, every: every, cancel: func() {}}
}

// Start begins to look.
func (d *Dispatcher) Start(ctx context.Context) {
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.loops.Keep(ctx, d.every, func() error { return d.look(ctx) }, func(err error) {
		d.logger.WarnContext(ctx, "webhooks could not be dispatched", "error", err)
	})
}

func (d *Dispatcher) look(ctx context.Context) error {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := d.webhooks.Dispatch(limited)
		cancel()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Stop ends it, and waits for that. It is safe to call twice.
func (d *Dispatcher) Stop(context.Context) error {
	d.cancel()
	return d.loops.Wait()
}
