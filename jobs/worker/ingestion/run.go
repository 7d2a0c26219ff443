package ingestion

import (
	"context"
	"errors"
	"io"
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
	release := src.release
	defer release()
	r.report(ctx, "extract", 0, 0)
	made, result, err := r.extract(ctx, src)
	if err != nil {
		return err
	}
	defer result.Release()
	src = source{} // the bytes are no longer needed
	release()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !made.Unchanged {
		if err := r.embed(ctx, &made); err != nil {
			return err
		}
		r.report(ctx, "save", 0, 0)
	}
	return r.finish(ctx, made)
}

func (r *run) finish(ctx context.Context, made library.Ingested) error {
	return r.saver.Save(ctx, r.lease, func() error {
		job, err := r.opts.Library.FinishIngest(ctx, r.lease, r.job.ID, made)
		if err == nil {
			r.job = job
		}
		return err
	})
}

// report records how far the attempt is, not too often within a stage. When it finds that the
// ingestion has ended or is another's, it stops the attempt.
func (r *run) report(ctx context.Context, stage string, done, total int) {
	if stage == r.stage && time.Since(r.reported) < r.opts.ReportEvery || ctx.Err() != nil {
		return
	}
	r.stage, r.reported = stage, time.Now()
	err := r.opts.Library.ReportIngest(ctx, r.lease, r.job.ID, stage, done, total)
	if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) {
		r.stop(err)
	}
	// Any other error costs a line of progress; the database may be back for the result.
}

// source is what was sent or fetched.
type source struct {
	size        int64
	head        []byte                // of a fetched source: as much as its type is known by
	copy        func(io.Writer) error // writes the content
	release     func()                // gives back the memory of a fetched source; may be called again
	contentType string
	address     string // it was fetched from; "" when it was sent
	name        string // of the file

	// What is known beside the content, as of a video from its page.
	title, author string
	about         map[string]any
}

func (s source) empty() bool { return s.size == 0 }

// fetchedSource is what came from the network.
func fetchedSource(f knowledge.Fetched) source {
	release := f.Done // and nothing that would hold on to the body
	if release == nil {
		release = func() {}
	}
	return source{
		size: int64(len(f.Body)), head: f.Body[:min(len(f.Body), 64<<10)], release: release, contentType: f.ContentType, address: f.URL,
		copy: func(to io.Writer) error { _, err := to.Write(f.Body); return err },
	}
}

// read gets the source. One that was sent is in the database until the ingestion ends, and is copied from
// there part by part.
func (r *run) read(ctx context.Context) (source, error) {
	if upload := r.job.UploadID; upload != nil {
		src := source{name: r.job.Name, contentType: r.job.Options.ContentType, release: func() {}}
		if r.job.URL != nil {
			src.address = *r.job.URL
		}
		src.copy = func(to io.Writer) error { return r.opts.Library.CopyUpload(ctx, r.lease.Workspace, *upload, to) }
		var err error
		src.size, err = r.opts.Library.UploadSize(ctx, r.lease.Workspace, *upload)
		return src, err
	}
	if r.job.URL == nil {
		return source{}, knowledge.Rejectf("what was sent is no longer there: send it again")
	}
	if r.job.SourceType == knowledge.SourceYouTube && extract.YouTubeID(*r.job.URL) != "" {
		return r.transcript(ctx)
	}
	fetched, err := r.opts.Fetcher.Fetch(ctx, *r.job.URL, r.opts.MaxBytes)
	if err != nil {
		return source{}, err
	}
	src := fetchedSource(fetched)
	if src.name = r.job.Name; src.name == "" {
		src.name = extract.NameOf(fetched.URL)
	}
	if err := r.retype(ctx, src); err != nil {
		src.release()
		return src, err
	}
	return src, nil
}

// retype corrects a type that was guessed from an address by what is there.
func (r *run) retype(ctx context.Context, src source) error {
	if !r.job.Detected {
		return nil
	}
	found := extract.Detect(src.head, src.name)
	if found == knowledge.SourceText && extract.LooksLikeHTML(src.head) && isHTML(src.contentType) {
		found = knowledge.SourceArticle
	}
	if found == r.job.SourceType {
		return nil
	}
	job, doc, err := r.opts.Library.RetypeIngest(ctx, r.lease, r.job.ID, found)
	if err != nil {
		return err
	}
	job.Revision = r.job.Revision
	r.job, r.doc = job, doc
	return nil
}
