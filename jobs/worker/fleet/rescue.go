package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river/rivertype"

	"millrace/store/workers"
)

// belief is whether the silence of other workers may be taken for their end. After an outage of the
// database every heartbeat looks silent, though nobody died; so only a worker that has been heard for a
// whole lease rescues, and what it finds it must find twice, so that one that was kept out has a beat's
// time to be heard.
type belief struct {
	heardSince time.Time
	// doubted: the database refused a write since; it must take one before time counts.
	doubted   bool
	suspected bool // by the beat before
}

func (b *belief) restart() { b.heardSince, b.suspected = time.Now(), false }

func (b *belief) doubt() {
	b.restart()
	b.doubted = true
}

// confirms takes what a beat has seen and returns true when the beat before saw the same.
func (b *belief) confirms(suspects bool) bool {
	confirmed := suspects && b.suspected
	b.suspected = suspects && !confirmed
	return confirmed
}

// takeOver rescues what lost workers hold, once that can be believed. It returns false while this worker
// may not judge others.
func (f *Fleet) takeOver(ctx context.Context, b *belief) bool {
	probe, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	if b.doubted {
		if _, err := f.store.Upkeep.ProbeWrite(probe); err != nil {
			b.doubt()
			return false
		}
		b.doubted = false
	}
	if time.Since(b.heardSince) < workers.HeartbeatLease {
		return false
	}
	suspects, err := f.store.Workers.Suspects(probe)
	if err == nil && b.confirms(suspects) {
		err = f.rescue(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			f.opts.Logger.WarnContext(ctx, "rescue failed", "error", err)
		}
		b.doubt()
		return false
	}
	return true
}

func (f *Fleet) rescue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, workers.HeartbeatLease/2)
	defer cancel()
	// Its sessions first: what they hold would keep its jobs, and others, waiting.
	ended, err := f.store.Workers.EndLostSessions(ctx)
	if err != nil {
		return err
	}
	for _, lost := range ended {
		f.opts.Logger.WarnContext(ctx, "ended the sessions of a lost worker", "worker", lost.Worker, "sessions", lost.Sessions)
	}
	rescued, err := f.store.Workers.Rescue(ctx)
	if err != nil {
		return err
	}
	for _, job := range rescued {
		f.opts.Metrics.JobsRescued.Inc()
		f.opts.Logger.WarnContext(ctx, "job rescued from a lost worker", "job_id", job.ID, "kind", job.Kind, "state", job.State)
		if job.State == "discarded" && !workers.TakesUp(job.Kind) {
			row := rivertype.JobRow{ID: job.ID, Kind: job.Kind, Attempt: job.Attempt}
			about := f.opts.Reporter.Untraced(named(ctx, &row, job.WorkspaceID), job.Kind)
			f.failures.Report(about, "job failed for good", errors.New("every attempt at it lost its worker"))
		}
	}
	return nil
}
