package ingestion

import (
	"context"
	"errors"
	"time"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/library"
)

// run is one attempt at one ingestion.
type run struct {
	*Workers
	lease    store.Lease
	job      *library.Ingest
	doc      knowledge.Document
	stop     context.CancelCauseFunc
	reported time.Time
	stage    string
}

func newRun(w *Workers, lease store.Lease, job *library.Ingest, doc knowledge.Document) *run {
	return &run{Workers: w, lease: lease, job: job, doc: doc, stage: job.Stage, reported: time.Now()}
}

// do reads the source, makes text of it, cuts and embeds the text, and stores the document.
func (r *run) do(parent context.Context) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	r.stop = stop
	err := routine.Do(func() error { return r.steps(ctx) })
	// A report that found the ingestion ended has stopped the rest: that is the error.
	if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
		return cause
	}
	return err
}

func (r *run) steps(ctx context.Context) error {
	src, err := r.read(ctx)
	if err != nil {
		return err
	}
	r.report(ctx, "extract", 0, 0)
	made, extracted, err := r.extract(ctx, src)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sum, err := extracted.Sum(knowledge.ChunkVersion)
	if err != nil {
		return err
	}
	made.Bytes = int64(len(src.data))
	made.Document = knowledge.Document{
		ID: r.doc.ID, WorkspaceID: r.doc.WorkspaceID, SourceType: r.job.SourceType, CanonicalURL: r.doc.CanonicalURL,
		Title: extracted.Title, Author: extracted.Author, PublishedAt: extracted.PublishedAt,
		Metadata: extracted.Metadata, SHA256: sum[:], Revision: r.job.Revision,
	}
	made.Unchanged = r.doc.Revision > 0 && string(r.doc.SHA256) == string(sum[:])
	if !made.Unchanged {
		if err := r.chunk(ctx, extracted, &made); err != nil {
			return err
		}
		if made.Collection, err = r.embed(ctx, made); err != nil {
			return err
		}
		r.report(ctx, "save", 0, 0)
	}
	return r.finish(ctx, made)
}

func (r *run) finish(ctx context.Context, made library.Ingested) error {
	return r.saver.Save(ctx, r.lease, func() error {
		job, err := r.store.Library.FinishIngest(ctx, r.lease, r.job.ID, made)
		if err == nil {
			r.job = job
		}
		return err
	})
}

// chunk cuts the text. A title given with the submission goes before the source's own.
func (r *run) chunk(ctx context.Context, extracted *knowledge.Extracted, made *library.Ingested) error {
	const perChunk = 2 << 10 // bytes of text, roughly
	tooLong := func() error {
		return knowledge.Rejectf("the text makes over %d chunks of %d tokens: split it", r.opts.MaxChunks, knowledge.ChunkTokens)
	}
	if extracted.Size() > 2*perChunk*r.opts.MaxChunks {
		return tooLong()
	}
	var err error
	if made.Chunks, err = r.chunker.Chunks(ctx, r.doc.ID, extracted); err != nil {
		return err
	}
	if len(made.Chunks) > r.opts.MaxChunks {
		return tooLong()
	}
	return nil
}

// report tells how far the attempt is, not too often within a stage. When it finds that the
// ingestion has ended or is another's, it stops the attempt.
func (r *run) report(ctx context.Context, stage string, done, total int) {
	if stage == r.stage && time.Since(r.reported) < r.opts.ReportEvery || ctx.Err() != nil {
		return
	}
	r.stage, r.reported = stage, time.Now()
	err := r.store.Library.ReportIngest(ctx, r.lease, r.job.ID, stage, done, total)
	if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) {
		r.stop(err)
	}
	// Any other error costs a line of progress; the database may be back for the result.
}

// source is what was sent or fetched.
type source struct {
	data        []byte
	contentType string
	address     string // it was fetched from; "" when it was sent
	name        string // of the file

	// What is known beside the content, as of a video from its page.
	title, author string
	about         map[string]any
}

// read gets the source. One that was sent is in the database until the ingestion ends.
func (r *run) read(ctx context.Context) (source, error) {
	src := source{name: r.job.Name, contentType: r.job.Options.ContentType}
	if r.job.UploadID != nil {
		data, err := r.store.Library.Upload(ctx, r.lease.Workspace, *r.job.UploadID)
		if r.job.URL != nil {
			src.address = *r.job.URL
		}
		src.data = data
		return src, err
	}
	if r.job.URL == nil {
		return src, knowledge.Rejectf("what was sent is no longer there: send it again")
	}
	if r.job.SourceType == knowledge.SourceYouTube && extract.YouTubeID(*r.job.URL) != "" {
		return r.transcript(ctx)
	}
	fetched, err := r.opts.Fetcher.Fetch(ctx, *r.job.URL, r.opts.MaxBytes)
	if err != nil {
		return src, err
	}
	src.data, src.contentType, src.address = fetched.Body, fetched.ContentType, fetched.URL
	if src.name == "" {
		src.name = extract.NameOf(fetched.URL)
	}
	return src, r.retype(ctx, src)
}

// retype corrects a type that was guessed from an address by what is there.
func (r *run) retype(ctx context.Context, src source) error {
	if !r.job.Detected {
		return nil
	}
	found := extract.Detect(src.data, src.name)
	if found == knowledge.SourceText && extract.LooksLikeHTML(src.data) && isHTML(src.contentType) {
		found = knowledge.SourceArticle
	}
	if found == r.job.SourceType {
		return nil
	}
	job, doc, err := r.store.Library.RetypeIngest(ctx, r.lease, r.job.ID, found)
	if err != nil {
		return err
	}
	job.Revision = r.job.Revision
	r.job, r.doc = job, doc
	return nil
}
