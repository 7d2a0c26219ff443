package ingestion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/attempt"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/market"
)

// jobTimeout bounds one attempt; below River's own rescue age.
const jobTimeout = 20 * time.Minute

// Options make Workers. Those without a default are required.
type Options struct {
	DB        *store.DB
	Library   *library.Store
	Market    *market.Store // keeps the bars that a source is found to hold
	Logger    *slog.Logger
	Fetcher   knowledge.Fetcher
	Sandbox   *sandbox.Pool // extracts text from what was sent or fetched
	Embedders knowledge.Embedders
	Index     knowledge.VectorIndex
	// Recognizer adds text to scanned PDF files; nil: they are refused.
	Recognizer knowledge.Recognizer

	MaxBytes    int64         // of a source; default 100 MB
	MaxChunks   int           // of a document; default 20,000
	Patience    time.Duration // how long a source or provider may be waited for; default 24 h
	FirstPause  time.Duration // before the second attempt, tripled at each; default 2 s
	FaultPause  time.Duration // before an embedder or index that is away is asked again; default 15 s
	ReportEvery time.Duration // between progress events; default 500 ms
	YouTube     string        // where videos are; default https://www.youtube.com
}

func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 100 << 20
	}
	if o.MaxChunks == 0 {
		o.MaxChunks = 20_000
	}
	if o.Patience == 0 {
		o.Patience = 24 * time.Hour
	}
	if o.FirstPause == 0 {
		o.FirstPause = 2 * time.Second
	}
	if o.FaultPause == 0 {
		o.FaultPause = 15 * time.Second
	}
	if o.ReportEvery == 0 {
		o.ReportEvery = 500 * time.Millisecond
	}
	if o.YouTube == "" {
		o.YouTube = "https://www.youtube.com"
	}
	return o
}

// Workers work ingestions.
type Workers struct {
	opts    Options
	saver   *attempt.Saver
	chunker *knowledge.Chunker
}

// New makes the workers.
func New(opts Options) (*Workers, error) {
	if opts.DB == nil || opts.Library == nil || opts.Market == nil || opts.Logger == nil || opts.Fetcher == nil || opts.Sandbox == nil ||
		len(opts.Embedders) == 0 || opts.Index == nil {
		return nil, errors.New("ingestion: DB, Library, Market, Logger, Fetcher, Sandbox, Embedders and Index are required")
	}
	chunker, err := knowledge.NewChunker()
	if err != nil {
		return nil, err
	}
	return &Workers{
		opts: opts.withDefaults(), saver: attempt.NewSaver(opts.DB, opts.Logger), chunker: chunker,
	}, nil
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &sourceWorker{all: w, Worker: &attempt.Worker[jobs.IngestArgs]{
		Saver: w.saver, Limit: jobTimeout, Do: w.ingest, Fail: w.fail,
		Of: func(a jobs.IngestArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.IngestID },
	}})
	river.AddWorker(to, &forgetWorker{all: w})
	river.AddWorker(to, &attempt.Worker[jobs.ReembedArgs]{
		Saver: w.saver, Limit: jobTimeout, Do: w.reembed, Fail: w.failReembed,
		Of: func(a jobs.ReembedArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.ReembedID },
	})
	river.AddWorker(to, &sweepWorker{all: w})
}

// sourceWorker is an attempt.Worker that waits longer between attempts: what fails here is mostly a
// source that has troubles of its own.
type sourceWorker struct {
	*attempt.Worker[jobs.IngestArgs]
	all *Workers
}

// NextRetry implements river.Worker.
func (w *sourceWorker) NextRetry(job *river.Job[jobs.IngestArgs]) time.Time {
	return w.all.opts.DB.Clock().Now().Add(w.all.pause(job.Attempt))
}

// pause is the wait after a failed attempt: 2 s, 6 s, 18 s … at most 10 min.
func (w *Workers) pause(attempt int) time.Duration {
	const longest = 10 * time.Minute
	pause := w.opts.FirstPause
	for range attempt - 1 {
		pause = min(3*pause, longest)
	}
	return pause
}

// ingest makes one attempt, and records what became of it.
func (w *Workers) ingest(ctx context.Context, args jobs.IngestArgs, lease store.Lease) error {
	job, doc, err := w.opts.Library.BeginIngest(ctx, lease, args.IngestID)
	if err != nil {
		return w.finish(ctx, lease, args.IngestID, nil, err)
	}
	r := newRun(w, lease, job, doc)
	err = r.do(ctx)
	return w.finish(ctx, lease, args.IngestID, r.job, err)
}

// finish decides what an error means for the ingestion. job is nil when it could not even begin.
func (w *Workers) finish(ctx context.Context, lease store.Lease, id uuid.UUID, job *library.Ingest, err error) error {
	var rejection *knowledge.Rejection
	var fetch *knowledge.FetchError
	var fault *knowledge.Fault
	var quota *store.QuotaError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return w.abandon(ctx, lease, id, job, err)
	case ctx.Err() != nil:
		w.clean(ctx, lease.Workspace, job)
		return err
	case errors.Is(err, store.ErrFenced):
		return err
	case job == nil:
		return unreportable(lease, err)
	case errors.As(err, &quota):
		if doc, err := w.opts.Library.Document(ctx, lease.Workspace, job.DocumentID); err == nil && doc.Revision == 0 {
			if err := w.forget(ctx, lease.Workspace, doc.ID, knowledge.AllRevisions); err != nil {
				return err
			}
		}
		return &attempt.PermanentError{Reason: quota.Error() + "; delete what is not needed, or have an admin raise it", Passes: true}
	case errors.As(err, &rejection):
		return &attempt.PermanentError{Reason: rejection.Reason}
	case errors.As(err, &fetch) && fetch.Permanent:
		w.opts.Logger.InfoContext(ctx, "source refused", "ingest_id", id, "reason", fetch.Reason, "error", fetch.Err)
		return &attempt.PermanentError{Reason: fetch.Reason}
	case errors.As(err, &fetch) && fetch.RetryAfter > 0:
		return w.wait(ctx, lease, job, fetch.Reason, nil, fetch.RetryAfter)
	case errors.As(err, &fetch):
		return w.retry(ctx, lease, job, fetch.Reason, nil, err)
	case errors.As(err, &fault) && fault.Temporary():
		w.opts.Logger.WarnContext(ctx, "ingestion waits", "ingest_id", id, "error", err)
		return w.wait(ctx, lease, job, faultReason(fault), err, max(fault.RetryAfter, w.opts.FaultPause))
	case errors.As(err, &fault):
		return w.retry(ctx, lease, job, faultReason(fault), err, err)
	case errors.Is(err, store.ErrConflict):
		return w.retry(ctx, lease, job, "the document changed at the same time", err, err)
	}
	if store.Transient(err) { // of the fetcher's and the providers' errors some look as if the database were away
		return unreportable(lease, err)
	}
	return w.retry(ctx, lease, job, ourError, err, err)
}

// unreportable returns an error that cannot be recorded on the ingestion now. Should this be the last
// attempt, its user reads no more of it than any user may.
func unreportable(lease store.Lease, err error) error {
	if !lease.Last || store.Refused(err) {
		return err
	}
	return &attempt.PermanentError{Reason: ourError, Cause: err}
}

// ourError is the reason for what its user can do nothing about.
const ourError = "an error on our side, recorded under this job's id"

// faultReason is what a user reads of a provider's failure: nothing of addresses or keys.
func faultReason(fault *knowledge.Fault) string {
	switch fault.Kind {
	case knowledge.FaultRateLimit:
		return "the embedding model or the vector store is over its rate limit"
	case knowledge.FaultUnconfigured:
		return "the workspace's embedding model is not set up on this server"
	case knowledge.FaultDimensions:
		return "the embedding model gives vectors of another length than the workspace's collection has"
	case knowledge.FaultCollection:
		return "the workspace's collection in the vector store was made for other vectors; the health page says what to do"
	case knowledge.FaultRefused:
		return "the embedding model or the vector store refused the text"
	}
	return "the embedding model or the vector store is away"
}

// wait snoozes the job: waiting is not an attempt. Beyond the patience for it the ingestion fails; ours is
// what we are to blame for then, nil if the source is.
func (w *Workers) wait(ctx context.Context, lease store.Lease, job *library.Ingest, reason string, ours error, pause time.Duration) error {
	next := w.opts.DB.Clock().Now().Add(pause)
	if next.Sub(job.CreatedAt) > w.opts.Patience {
		return &attempt.PermanentError{Reason: fmt.Sprintf("%s; it was waited for %s in vain", reason, w.opts.Patience), Cause: ours, Passes: true}
	}
	if err := w.opts.Library.RetryIngest(ctx, lease, job.ID, reason, next); err != nil {
		return err
	}
	return river.JobSnooze(pause)
}

// retry notes why this attempt failed; after the last one the ingestion fails for good. ours is what we
// are to blame for then, nil if the source is.
func (w *Workers) retry(ctx context.Context, lease store.Lease, job *library.Ingest, reason string, ours, err error) error {
	if lease.Last {
		return &attempt.PermanentError{Reason: fmt.Sprintf("%s; it was tried %d times", reason, lease.Attempt), Cause: ours, Passes: true}
	}
	if noted := w.opts.Library.RetryIngest(ctx, lease, job.ID, reason, w.opts.DB.Clock().Now().Add(w.pause(lease.Attempt))); noted != nil {
		return noted
	}
	return err
}

// fail ends an ingestion for good; it is called by attempt.Worker.
func (w *Workers) fail(ctx context.Context, args jobs.IngestArgs, lease store.Lease, failure store.Failure) error {
	return w.opts.Library.FailIngest(ctx, lease, args.IngestID, failure)
}

// abandon ends the attempt at an ingestion that was cancelled or whose document is gone.
func (w *Workers) abandon(ctx context.Context, lease store.Lease, id uuid.UUID, job *library.Ingest, cause error) error {
	w.clean(ctx, lease.Workspace, job)
	if err := w.opts.Library.AbandonIngest(ctx, lease, id, "the document was deleted"); err != nil {
		return cause
	}
	return nil
}

// clean deletes the vectors that an attempt has put in the index for a document that is gone by now.
// What it cannot delete, a job that was inserted with the deletion will.
func (w *Workers) clean(ctx context.Context, workspace uuid.UUID, job *library.Ingest) {
	if job == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := w.opts.Library.Document(ctx, workspace, job.DocumentID)
	if errors.Is(err, store.ErrNotFound) {
		err = w.forget(ctx, workspace, job.DocumentID, knowledge.AllRevisions)
	}
	if err != nil {
		w.opts.Logger.WarnContext(ctx, "vectors of a deleted document may be left for now", "document_id", job.DocumentID, "error", err)
	}
}
