package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/ops"
	"millrace/ops/publicnet"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/webhooks"
)

// Options configure the workers. Zero fields take their defaults.
type Options struct {
	DB       *store.DB
	Log      *eventlog.Store
	Webhooks *webhooks.Store
	Keys     webhooks.Keyring
	Guard    *publicnet.Guard
	Metrics  *ops.Metrics
	Logger   *slog.Logger

	FirstPause time.Duration // before the second attempt at a message, then twice as long each time; default 5 s
	MostPause  time.Duration // default 1 h
	DeadAfter  time.Duration // how long a receiver may fail; default 72 h
	Share      time.Duration // how long one job delivers before others of the queue have their share; default 20 s
	SlowAfter  time.Duration // a receiver that takes longer for a message is slow: its share is a quarter, in half of the slots; default 1 s
}

const (
	// pageEvents is how many events are read at once.
	pageEvents = 500
	// commitEvery and commitAfter are how many messages, and for how long, may be accepted and not recorded: a
	// killed worker's successor sends them again.
	commitEvery = 100
	commitAfter = 500 * time.Millisecond
	// jobTimeout is above any Share and one message.
	jobTimeout = 5 * time.Minute
)

// Workers work the queue of webhooks.
type Workers struct{ opts Options }

// New makes the workers.
func New(opts Options) *Workers {
	orElse(&opts.FirstPause, 5*time.Second)
	orElse(&opts.MostPause, time.Hour)
	orElse(&opts.DeadAfter, 72*time.Hour)
	orElse(&opts.Share, 20*time.Second)
	orElse(&opts.SlowAfter, time.Second)
	if opts.Guard == nil {
		opts.Guard = publicnet.New(publicnet.Options{})
	}
	return &Workers{opts}
}

func orElse(p *time.Duration, value time.Duration) {
	if *p == 0 {
		*p = value
	}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &deliverWorker{all: w})
	river.AddWorker(to, &sendWorker{all: w})
}

// pause is how long after so many failures in a row the next attempt is: twice as long each time, up to a fifth
// longer or shorter, so that receivers that failed at once are not all asked at once.
func (w *Workers) pause(failures int) time.Duration {
	pause := w.opts.MostPause
	if shift := failures - 1; shift < 30 && w.opts.FirstPause<<shift < pause {
		pause = w.opts.FirstPause << max(shift, 0)
	}
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

// deliverWorker delivers what a webhook is behind by.
type deliverWorker struct {
	river.WorkerDefaults[jobs.WebhookArgs]
	all *Workers
}

// Timeout implements river.Worker.
func (*deliverWorker) Timeout(*river.Job[jobs.WebhookArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker. A failed delivery does not fail the job: the webhook has when to try again, and
// the dispatcher inserts the job that does.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[jobs.WebhookArgs]) error {
	d := &delivery{all: w.all, lease: store.Lease{JobID: job.ID, Attempt: job.Attempt}, client: newClient(w.all.opts.Guard)}
	defer d.client.CloseIdleConnections()
	err := d.run(ctx, job.Args.WebhookID)
	switch {
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return nil
	case errors.Is(err, webhooks.ErrSealed):
		w.all.opts.Logger.WarnContext(ctx, "a webhook's secret cannot be opened: is WEBHOOK_KEY the key that sealed it?", "webhook_id", job.Args.WebhookID)
		return w.all.unsealed(ctx, d.lease, job.Args.WebhookID)
	}
	return err
}

// unsealed has a webhook wait whose secret no key opens.
func (w *Workers) unsealed(ctx context.Context, lease store.Lease, id uuid.UUID) error {
	err := w.opts.Webhooks.Wait(ctx, lease, id, webhooks.ErrSealed.Error(), w.opts.MostPause)
	if errors.Is(err, store.ErrEnded) {
		return nil
	}
	return err
}

// delivery is one job's run through the events that its webhook is behind by.
type delivery struct {
	all    *Workers
	lease  store.Lease
	client *http.Client
	hook   webhooks.Run
	done   webhooks.Progress // not recorded yet
	since  time.Time         // when the first of done was sent
	began  time.Time
	cut    bool // the rest of the page is left: the share is used up, or the webhook is another one
	slow   bool // the newest message took long
}

// over reports whether the job's share is used up. A receiver that becomes slow leaves its slot at once: it has
// one of those for slow receivers next.
func (d *delivery) over() bool {
	share := d.all.opts.Share
	if d.slow {
		if share /= 4; d.hook.Quick {
			return true
		}
	}
	return time.Since(d.began) > share
}

func (d *delivery) run(ctx context.Context, id uuid.UUID) error {
	for d.began = time.Now(); ; {
		more, err := d.page(ctx, id)
		if err != nil || !more || d.over() {
			return err // the dispatcher inserts the next job
		}
	}
}

// page delivers one page of events; more says that there may be another.
func (d *delivery) page(ctx context.Context, id uuid.UUID) (more bool, err error) {
	if d.hook, err = d.all.opts.Webhooks.Begin(ctx, id, d.all.opts.Keys); err != nil {
		return false, err
	}
	d.lease.Workspace, d.cut = d.hook.WorkspaceID, false
	d.done = webhooks.Progress{Place: d.hook.Place, DeadAfter: d.all.opts.DeadAfter}
	if d.hook.ResetID != "" {
		m, err := ofReset(d.hook, d.all.opts.DB.Clock().Now())
		if err != nil {
			return false, err
		}
		if accepted, err := d.send(ctx, m); err != nil || !accepted {
			return false, err
		}
		return true, d.commit(ctx)
	}
	scope := eventlog.Scope{Workspace: uuid.NullUUID{UUID: d.hook.WorkspaceID, Valid: true}}
	events, err := d.all.opts.Log.Events(ctx, scope, d.hook.Place, pageEvents)
	if errors.Is(err, eventlog.ErrCursorGone) {
		d.all.opts.Logger.WarnContext(ctx, "events were lost to a webhook: the log does not have them any more", "webhook_id", id)
		return true, d.all.opts.Webhooks.Lost(ctx, d.lease, id)
	}
	if err != nil || len(events) == 0 {
		return false, err
	}
	if accepted, err := d.deliver(ctx, events); err != nil || !accepted {
		return false, err
	}
	if err := d.commit(ctx); err != nil {
		return false, err
	}
	return d.cut || len(events) == pageEvents, nil
}

// deliver sends the events that the webhook wants, in order, until one is not accepted or the rest is left.
func (d *delivery) deliver(ctx context.Context, events []eventlog.Event) (accepted bool, err error) {
	wanted, err := d.wanted(ctx, events)
	if err != nil {
		return false, err
	}
	for i, e := range events {
		if wanted[i] {
			m, err := ofEvent(e)
			if err != nil {
				return false, err
			}
			if accepted, err := d.send(ctx, m); err != nil || !accepted {
				return false, err
			}
		}
		d.done.Place = e.Cursor
		if n := len(d.done.Accepted); n >= commitEvery || n > 0 && (d.slow || time.Since(d.since) > commitAfter) {
			if err := d.commit(ctx); err != nil {
				return false, err
			}
			// A page of a receiver that is slow would keep the slot for long, and get what its owner has changed.
			if d.cut = d.cut || d.over(); d.cut {
				return true, nil
			}
		}
	}
	return true, nil
}

// wanted says which of the events the webhook subscribes to.
func (d *delivery) wanted(ctx context.Context, events []eventlog.Event) ([]bool, error) {
	wanted := make([]bool, len(events))
	var ids []string
	for i := range events {
		if wanted[i] = Wants(d.hook.Settings, &events[i]); wanted[i] {
			ids = append(ids, events[i].EntityID)
		}
	}
	if d.hook.Label == "" || len(ids) == 0 {
		return wanted, nil
	}
	labelled, err := d.all.opts.Webhooks.Labelled(ctx, d.hook.WorkspaceID, d.hook.Label, ids)
	for i := range events {
		wanted[i] = wanted[i] && labelled[events[i].EntityID]
	}
	return wanted, err
}

// Wants reports whether settings subscribe to an event, whatever its label.
func Wants(s webhooks.Settings, e *eventlog.Event) bool {
	scope := eventlog.Scope{Topics: s.Topics, Entity: s.Entity}
	return scope.Holds(e) && (len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool {
		begin, open := strings.CutSuffix(t, "*")
		return t == e.Type || open && strings.HasPrefix(e.Type, begin)
	}))
}

// send sends one message and, when it is not accepted, records that.
func (d *delivery) send(ctx context.Context, m message) (accepted bool, err error) {
	began := time.Now()
	out := post(ctx, d.client, d.hook.URL, d.hook.Secrets, m, d.all.opts.DB.Clock().Now())
	if ctx.Err() != nil && !out.OK {
		return false, ctx.Err() // this worker stops: that is not the receiver's failure
	}
	d.all.opts.Metrics.Webhooks(out.OK, out.Took)
	d.slow = out.Took > d.all.opts.SlowAfter
	d.done.Slow = d.slow
	if out.OK {
		if len(d.done.Accepted) == 0 {
			d.since = began
		}
		d.done.Accepted = append(d.done.Accepted, out.Attempt)
		return true, nil
	}
	failures := d.hook.Attempts + 1
	if len(d.done.Accepted) > 0 {
		failures = 1
	}
	d.done.Failed, d.done.Closed = &out.Attempt, out.gone
	d.done.RetryIn = max(d.all.pause(failures), out.retryAfter)
	return false, d.commit(ctx)
}

// commit records what is done, which is nothing afterwards.
func (d *delivery) commit(ctx context.Context) error {
	state, changed, err := d.all.opts.Webhooks.Commit(ctx, d.lease, d.hook, d.done)
	if err != nil {
		return err
	}
	d.cut = d.cut || changed
	if state != webhooks.Active {
		d.all.opts.Logger.WarnContext(ctx, "a webhook was disabled", "webhook_id", d.hook.ID, "state", state, "reason", *d.done.Failed.Error)
	}
	if len(d.done.Accepted) > 0 {
		d.hook.Attempts = 0
	}
	d.done = webhooks.Progress{Place: d.done.Place, DeadAfter: d.done.DeadAfter}
	return nil
}
