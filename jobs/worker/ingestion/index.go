package ingestion

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/library"
)

// embedBatch is how many chunks are embedded and indexed at once.
const embedBatch = 128

// embed puts a vector of each chunk into the index, where the workspace's vectors are, before the
// chunks themselves are stored: a search drops hits that have no chunk yet. It notes the collection, and the vectors of
// the chunks' parts, which are stored with the chunks.
func (r *run) embed(ctx context.Context, made *library.Ingested) error {
	placement, embedder, err := r.placement(ctx, r.lease.Workspace)
	if err != nil {
		return err
	}
	if err := r.opts.Index.Ensure(ctx, placement.Collection); err != nil {
		return err
	}
	made.Collection, made.Parts = placement.Collection.Name, nil
	scope := knowledge.Scope{Workspace: r.lease.Workspace, Collection: placement.Collection}
	for start := 0; start < len(made.Chunks); start += embedBatch {
		r.report(ctx, "embed", start, len(made.Chunks))
		batch := made.Chunks[start:min(start+embedBatch, len(made.Chunks))]
		parts, err := r.index(ctx, scope, embedder, made.Document, batch)
		if err != nil {
			return err
		}
		made.Parts = append(made.Parts, parts...)
	}
	return nil
}

func (r *run) index(ctx context.Context, scope knowledge.Scope, embedder knowledge.Embedder, doc knowledge.Document, chunks []knowledge.Chunk,
) ([]knowledge.PartVectors, error) {
	titles := slices.Repeat([]string{doc.Title}, len(chunks))
	embedded, err := knowledge.EmbedChunks(ctx, embedder, titles, chunks)
	if err != nil {
		return nil, err
	}
	points, parts := make([]knowledge.Point, len(chunks)), make([]knowledge.PartVectors, len(chunks))
	for i, c := range chunks {
		points[i] = knowledge.Point{Chunk: c.ID, Document: doc.ID, Revision: doc.Revision, SourceType: doc.SourceType, Vector: embedded[i].Vector}
		parts[i] = embedded[i].Parts
	}
	return parts, r.opts.Index.Upsert(ctx, scope, points)
}

// placement finds where the workspace's vectors are and who makes them.
func (w *Workers) placement(ctx context.Context, workspace uuid.UUID) (knowledge.Placement, knowledge.Embedder, error) {
	placement, err := w.opts.Library.Placement(ctx, workspace, w.opts.Embedders[0].Model())
	if err != nil {
		return placement, nil, err
	}
	ops.Tag(ctx, "collection", placement.Collection.Name)
	ops.Tag(ctx, "embed_model", placement.Model.String())
	embedder, err := w.opts.Embedders.For(placement.Model)
	return placement, embedder, err
}

// forget deletes the vectors of a document's revisions below one.
func (w *Workers) forget(ctx context.Context, workspace, document uuid.UUID, below int64) error {
	placement, err := w.opts.Library.Placement(ctx, workspace, w.opts.Embedders[0].Model())
	if err != nil {
		return err
	}
	scope := knowledge.Scope{Workspace: workspace, Collection: placement.Collection}
	if err := w.opts.Index.Ensure(ctx, placement.Collection); err != nil {
		return err
	}
	return w.opts.Index.DeleteRevisions(ctx, scope, document, below)
}

// forgetWorker deletes vectors that have no chunks any more. It can be repeated without harm, so it
// needs no fence; an index that is away is waited for.
type forgetWorker struct {
	river.WorkerDefaults[jobs.IngestForgetArgs]
	all *Workers
}

// Timeout implements river.Worker.
func (w *forgetWorker) Timeout(*river.Job[jobs.IngestForgetArgs]) time.Duration {
	return 5 * time.Minute
}

// Work implements river.Worker.
func (w *forgetWorker) Work(ctx context.Context, job *river.Job[jobs.IngestForgetArgs]) error {
	err := w.all.forget(ctx, job.Args.WorkspaceID, job.Args.DocumentID, job.Args.Below)
	var fault *knowledge.Fault
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // the workspace is gone, and its vectors with it
	case errors.As(err, &fault) && fault.Temporary():
		return river.JobSnooze(max(fault.RetryAfter, w.all.opts.FaultPause))
	}
	return err
}
