package ingestion

import (
	"context"
	"errors"
	"maps"
	"mime"
	"strings"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/market"
)

func isHTML(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "text/html" || media == "application/xhtml+xml"
}

// extract has the sandbox make text of the source and cut it. made is complete but for its vectors.
func (r *run) extract(ctx context.Context, src source) (made library.Ingested, result *sandbox.Result, err error) {
	if src.empty() {
		return made, nil, knowledge.Rejectf("the source is empty")
	}
	if r.job.SourceType == knowledge.SourceDataset {
		made, result, err = r.dataset(ctx, src)
	} else {
		result, err = r.text(ctx, src)
	}
	if err != nil {
		result.Release()
		return made, nil, err
	}
	made.Document = knowledge.Document{
		ID: r.doc.ID, WorkspaceID: r.doc.WorkspaceID, SourceType: r.job.SourceType, CanonicalURL: r.doc.CanonicalURL,
		Title: result.Title, Author: result.Author, PublishedAt: result.PublishedAt,
		Metadata: result.Metadata, SHA256: result.Sum, Revision: r.job.Revision,
	}
	made.Bytes, made.Unchanged, made.Chunks = src.size, result.Unchanged, result.Chunks
	return made, result, nil
}

// text has the sandbox make text of the source, and of a PDF that shows text but has none once the text is recognised.
func (r *run) text(ctx context.Context, src source) (*sandbox.Result, error) {
	result, err := r.inSandbox(ctx, src, r.request(src))
	var rejection *knowledge.Rejection
	if r.opts.Recognizer == nil || !errors.As(err, &rejection) || !rejection.Textless {
		return result, err
	}
	made, err := r.opts.Recognizer.Recognize(ctx, src.copy)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := made.Close(); err != nil {
			r.opts.Logger.WarnContext(ctx, "a recognised file was not removed", "error", err)
		}
	}()
	req := r.request(src)
	req.About = maps.Clone(req.About)
	if req.About == nil {
		req.About = map[string]any{}
	}
	req.About["recognized"] = true // by this server and not by the author: a reader may want to know
	src.size, src.copy = made.Size(), made.Copy
	return r.inSandbox(ctx, src, req)
}

// request is what the sandbox is asked for. A title given with the submission stands before the source's
// own.
func (r *run) request(src source) sandbox.Request {
	req := sandbox.Request{
		Want: sandbox.WantDocument, Source: r.job.SourceType, Name: src.name, ContentType: src.contentType, Address: src.address,
		Title: src.title, Author: src.author, About: src.about, Document: r.doc.ID, MaxChunks: r.opts.MaxChunks,
	}
	if r.job.Options.Title != "" {
		req.Title = r.job.Options.Title
	}
	if r.doc.Revision > 0 {
		req.Known = r.doc.SHA256
	}
	return req
}

// inSandbox copies the source into a child.
func (r *run) inSandbox(ctx context.Context, src source, req sandbox.Request) (*sandbox.Result, error) {
	req.Size = src.size
	return r.opts.Sandbox.Extract(ctx, r.lease.Workspace, req, src.copy, func(done, pages int) {
		r.report(ctx, "extract", done, pages)
	})
}

// dataset stores the bars as a dataset, and describes them as a document. Storing them again under the
// same name is the same dataset.
func (r *run) dataset(ctx context.Context, src source) (library.Ingested, *sandbox.Result, error) {
	options := r.job.Options
	name := knowledge.Line(options.Title, 100)
	if name == "" {
		name = sandbox.DatasetName(src.name)
	}
	if name == "" {
		return library.Ingested{}, nil, knowledge.Rejectf("the dataset has no name: give it a title")
	}
	req := r.request(src)
	req.Want, req.Name, req.Symbol, req.Timeframe = sandbox.WantDataset, name, options.Symbol, options.Timeframe
	req.Calendar = options.Calendar
	if req.Symbol == "" {
		req.Symbol = knowledge.Line(strings.ToUpper(name), 40)
	}
	read, err := r.inSandbox(ctx, src, req)
	if err != nil {
		return library.Ingested{}, read, err
	}
	bars := read.Dataset
	meta := market.Dataset{
		Name: name, Symbol: bars.Symbol, Timeframe: bars.Timeframe, Calendar: bars.Calendar,
		Bars: bars.Bars, From: bars.From, To: bars.To, SHA256: bars.SHA256, SumState: bars.SumState, Instrument: bars.Instrument, Reading: bars.Reading,
	}
	stored, err := r.opts.Market.PutEncodedDataset(ctx, r.lease.Workspace, meta, bars.Encoded)
	read.Release()
	var differs *market.DifferenceError
	if errors.As(err, &differs) {
		return library.Ingested{}, nil, knowledge.Rejectf("datasets are immutable, and %q holds the same bars otherwise described: %v", name, differs)
	}
	if errors.Is(err, store.ErrConflict) {
		return library.Ingested{}, nil, knowledge.Rejectf("datasets are immutable, and %q holds other bars: take another name", name)
	}
	if err != nil {
		return library.Ingested{}, nil, err
	}
	described := bars.Described
	described.Metadata["dataset_id"] = stored.ID.String()
	result, err := sandbox.Cut(ctx, r.chunker, &described, req)
	return library.Ingested{DatasetID: &stored.ID}, result, err
}

// transcript fetches the subtitles of a video: its page says where they are.
func (r *run) transcript(ctx context.Context) (source, error) {
	const maxPage, maxTranscript = 10 << 20, 20 << 20
	id := extract.YouTubeID(*r.job.URL)
	page, err := r.opts.Fetcher.Fetch(ctx, r.opts.YouTube+"/watch?v="+id+"&hl=en", maxPage)
	if err != nil {
		return source{}, err
	}
	read, err := r.inSandbox(ctx, fetchedSource(page), sandbox.Request{Want: sandbox.WantVideo})
	page.Release()
	if err != nil {
		return source{}, err
	}
	read.Release()
	video := read.Video
	language := r.job.Options.Language
	if language == "" {
		language = "en"
	}
	caption := video.Pick(language)
	if caption == nil {
		return source{}, knowledge.Rejectf("the video has no subtitles: if you have a transcript, send it as a file")
	}
	fetched, err := r.opts.Fetcher.Fetch(ctx, caption.Address, maxTranscript)
	if err != nil {
		return source{}, err
	}
	if len(fetched.Body) == 0 {
		fetched.Release()
		return source{}, knowledge.Rejectf("YouTube gives this video's subtitles to its own player only: download them and send them as a file")
	}
	src := fetchedSource(fetched)
	src.title, src.author, src.name = video.Title, video.Channel, id
	src.about = map[string]any{"video_id": id, "language": caption.Language, "generated": caption.Generated, "duration_seconds": video.Seconds}
	return src, nil
}
