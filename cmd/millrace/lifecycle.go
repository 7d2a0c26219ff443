package main

import (
	"context"
	"errors"
	"time"
)

// stopQuickly is the deadline of a command that holds nothing worth waiting for.
const stopQuickly = 2 * time.Second

// lifecycle stops what was started, last in first out: after a failed set-up as after a signal.
type lifecycle struct {
	stops []func(context.Context) error
	lost  <-chan struct{} // closed when it cannot continue; nil: never
	why   func() error
}

// needs has the process end when lost is closed, with the error why.
func (l *lifecycle) needs(lost <-chan struct{}, why func() error) { l.lost, l.why = lost, why }

// onStop adds a clean-up.
func (l *lifecycle) onStop(stop func(context.Context) error) {
	l.stops = append(l.stops, stop)
}

// stop runs the clean-ups within the deadline. What is past it is still run, with a context that
// has ended, so that nothing is left behind silently.
func (l *lifecycle) stop(deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var failed []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		failed = append(failed, l.stops[i](ctx))
	}
	l.stops = nil
	return errors.Join(failed...)
}
