package ingestion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/attempt"
	"millrace/store"
	"millrace/store/library"
)

// reembed embeds every chunk of a workspace into another collection, and switches the workspace to
// it once none is missing. Questions and ingestions go on where the workspace still is.
func (w *Workers) reembed(ctx context.Context, args jobs.ReembedArgs, lease store.Lease) error {
	job, err := w.opts.Library.BeginReembed(ctx, lease, args.ReembedID)
	if err != nil {
		return err
	}
	err = w.move(ctx, lease, job)
	var fault *knowledge.Fault
	if !errors.As(err, &fault) || ctx.Err() != nil {
		return err
	}
	reason := faultReason(fault)
	switch {
	case fault.Kind == knowledge.FaultUnconfigured:
		// Another worker may have the model; it takes the job when the pause is over.
		reason = "the worker that took it is not set up for the model; it waits for one that is"
	case !fault.Temporary():
		return &attempt.PermanentError{Reason: reason, Cause: err}
	}
	if time.Since(job.CreatedAt) > w.opts.Patience {
		return &attempt.PermanentError{Reason: fmt.Sprintf("%s; it was waited for %s in vain", reason, w.opts.Patience), Cause: err}
	}
	w.opts.Logger.WarnContext(ctx, "re-embedding waits", "reembed_id", job.ID, "error", err)
	if err := w.opts.Library.WaitReembed(ctx, lease, job.ID, reason); err != nil {
		return err
	}
	return river.JobSnooze(max(fault.RetryAfter, w.opts.FaultPause))
}

// move embeds pass after pass what is missing, until the switch finds nothing missing any more.
func (w *Workers) move(ctx context.Context, lease store.Lease, job *library.Reembed) error {
	embedder, err := w.opts.Embedders.For(job.To.Model)
	if err != nil {
		return err
	}
	if err := w.opts.Index.Ensure(ctx, job.To.Collection); err != nil {
		return err
	}
	for {
		if err := w.pass(ctx, lease, job, embedder); err != nil {
			return err
		}
		err := w.saver.Save(ctx, lease, func() error {
			return w.opts.Library.FinishReembed(ctx, lease, job.ID)
		})
		if !errors.Is(err, library.ErrBehind) {
			return err
		}
	}
}

// pass embeds, in batches, the chunks that are not in the new collection.
func (w *Workers) pass(ctx context.Context, lease store.Lease, job *library.Reembed, embedder knowledge.Embedder) error {
	scope := knowledge.Scope{Workspace: job.WorkspaceID, Collection: job.To.Collection}
	for after := uuid.Nil; ; {
		chunks, err := w.opts.Library.ReembedBatch(ctx, job.WorkspaceID, job.ID, after, embedBatch)
		if err != nil || len(chunks) == 0 {
			return err
		}
		titles, texts := make([]string, len(chunks)), make([]knowledge.Chunk, len(chunks))
		for i, c := range chunks {
			titles[i], texts[i] = c.Title, c.Chunk
		}
		embedded, err := knowledge.EmbedChunks(ctx, embedder, titles, texts)
		if err != nil {
			return err
		}
		points, parts := make([]knowledge.Point, len(chunks)), make([]knowledge.PartVectors, len(chunks))
		for i, c := range chunks {
			points[i] = knowledge.Point{Chunk: c.ID, Document: c.DocumentID, Revision: c.Revision, SourceType: c.SourceType, Vector: embedded[i].Vector}
			parts[i] = embedded[i].Parts
		}
		if err := w.opts.Index.Upsert(ctx, scope, points); err != nil {
			return err
		}
		if err := w.opts.Library.NoteReembedded(ctx, lease, job.ID, chunks, parts); err != nil {
			return err
		}
		after = chunks[len(chunks)-1].ID
	}
}

// failReembed ends a re-embedding for good; it is called by attempt.Worker.
func (w *Workers) failReembed(ctx context.Context, args jobs.ReembedArgs, lease store.Lease, failure store.Failure) error {
	return w.opts.Library.FailReembed(ctx, lease, args.ReembedID, failure.Reason)
}

// sweepWorker deletes what a workspace left behind: its vectors in the old collection, and those in
// the new one whose chunks went while they were being embedded. It can be repeated without harm, so
// it needs no fence; an index that is away is waited for.
type sweepWorker struct {
	river.WorkerDefaults[jobs.ReembedSweepArgs]
	all *Workers
}

// Timeout implements river.Worker.
func (w *sweepWorker) Timeout(*river.Job[jobs.ReembedSweepArgs]) time.Duration {
	return 5 * time.Minute
}

// Work implements river.Worker.
func (w *sweepWorker) Work(ctx context.Context, job *river.Job[jobs.ReembedSweepArgs]) error {
	err := w.all.sweep(ctx, job.Args.WorkspaceID, job.Args.ReembedID)
	var fault *knowledge.Fault
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // the workspace is gone, and its vectors with it
	case errors.As(err, &fault) && fault.Temporary():
		return river.JobSnooze(max(fault.RetryAfter, time.Minute))
	}
	return err
}

func (w *Workers) sweep(ctx context.Context, workspace, id uuid.UUID) error {
	job, err := w.opts.Library.Reembed(ctx, id)
	if err != nil {
		return err
	}
	left, err := w.opts.Library.Leftovers(ctx, workspace, id)
	if err != nil {
		return err
	}
	scope := knowledge.Scope{Workspace: workspace, Collection: job.To.Collection}
	for _, l := range left {
		if err := w.opts.Index.DeleteRevisions(ctx, scope, l.Document, l.Below); err != nil {
			return err
		}
	}
	if err := w.leave(ctx, job); err != nil {
		return err
	}
	return w.opts.Library.ForgetReembed(ctx, workspace, id)
}

// leave deletes the workspace's vectors where it came from, unless it is there again or about to be.
func (w *Workers) leave(ctx context.Context, job *library.Reembed) error {
	left, err := w.opts.Library.HasLeft(ctx, job.WorkspaceID, job.From)
	if err != nil || !left {
		return err
	}
	if err := w.opts.Library.ForgetParts(ctx, job.WorkspaceID, job.From); err != nil {
		return err
	}
	err = w.opts.Index.DeleteWorkspace(ctx, knowledge.Scope{Workspace: job.WorkspaceID, Collection: job.From})
	var fault *knowledge.Fault
	if errors.As(err, &fault) && fault.Kind == knowledge.FaultRefused {
		return nil // the collection was never made
	}
	return err
}
