// Package routine starts goroutines. A panic in a goroutine ends the whole process, whatever its caller
// recovers, so every goroutine of ours is started here, where a panic becomes an error: of a Group it is
// the joiner's error, of Go it goes to the function that handles the goroutine's end. Both lead to the
// ordinary way of an internal error: the log, Sentry and internal_errors_total. A test walks the syntax
// of the tree for goroutines that are started elsewhere. It imports the standard library and errgroup
// only, so that every room may use it.
package routine

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"
)

// PanicError is a panic that was recovered.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error. The stack is part of the text: it is for the log, never for a user.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Do calls fn. Its panic is returned as a *PanicError.
func Do(fn func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
		}
	}()
	return fn()
}

// Go calls fn in a goroutine of its own, and ended, in the same goroutine, with fn's error or panic.
// ended reports or passes on the error; it must not panic.
func Go(fn func() error, ended func(error)) {
	go func() { ended(Do(fn)) }()
}

// OnDone calls fn in a goroutine of its own when ctx ends, unless stop is called before, which then
// returns true. A panic of fn ends nothing else.
func OnDone(ctx context.Context, fn func()) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = Do(func() error { fn(); return nil }) })
}

// Group is functions that run side by side and are joined. The zero Group has no limit.
type Group struct {
	functions errgroup.Group
	cancel    context.CancelCauseFunc // nil: an error stops nobody
}

// NewGroup makes a group and a context that ends with the first error of the group.
func NewGroup(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel}, ctx
}

// Limit sets how many functions run at once. Call it before Run.
func (g *Group) Limit(n int) { g.functions.SetLimit(n) }

// Run starts fn beside the others.
func (g *Group) Run(fn func() error) {
	g.functions.Go(func() error {
		err := Do(fn)
		if err != nil && g.cancel != nil {
			g.cancel(err)
		}
		return err
	})
}

// Keep runs a loop beside the others: when fn fails or panics, failed gets the error and fn runs again
// after the pause, until ctx ends or fn returns nil.
func (g *Group) Keep(ctx context.Context, pause time.Duration, fn func() error, failed func(error)) {
	g.Run(func() error {
		for {
			err := Do(fn)
			if err == nil || ctx.Err() != nil {
				return nil
			}
			failed(err)
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
		}
	})
}

// Wait waits for all functions and returns the first error. The group's context has ended then.
func (g *Group) Wait() error {
	err := g.functions.Wait()
	if g.cancel != nil {
		g.cancel(err)
	}
	return err
}
