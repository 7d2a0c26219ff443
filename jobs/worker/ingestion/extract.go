package ingestion

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"path"
	"strings"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/market"
)

func isHTML(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "text/html" || media == "application/xhtml+xml"
}

// extract makes text of the source, in the way of its type.
func (r *run) extract(ctx context.Context, src source) (made library.Ingested, extracted *knowledge.Extracted, err error) {
	if len(src.data) == 0 {
		return made, nil, knowledge.Rejectf("the source is empty")
	}
	switch r.job.SourceType {
	case knowledge.SourcePDF:
		extracted, err = r.pages(ctx, src)
	case knowledge.SourceArticle:
		extracted, err = extract.Article(src.data, src.contentType, src.address)
	case knowledge.SourceYouTube:
		extracted, err = extract.Transcript(src.data, src.name)
	case knowledge.SourcePine:
		extracted, err = extract.Pine(src.data, src.name)
	case knowledge.SourceText:
		extracted, err = extract.Text(src.data, src.name)
	case knowledge.SourceDataset:
		made, extracted, err = r.dataset(ctx, src)
	default:
		err = fmt.Errorf("source type %q has no extractor", r.job.SourceType)
	}
	if err != nil {
		return made, nil, err
	}
	for key, value := range src.about {
		extracted.Metadata[key] = value
	}
	if src.title != "" {
		extracted.Title = src.title
	}
	if src.author != "" {
		extracted.Author = src.author
	}
	if r.job.Options.Title != "" && r.job.SourceType != knowledge.SourceDataset {
		extracted.Title = r.job.Options.Title
	}
	extracted.Title, extracted.Author = knowledge.Line(extracted.Title, 300), knowledge.Line(extracted.Author, 200)
	return made, extracted, nil
}

func (r *run) pages(ctx context.Context, src source) (*knowledge.Extracted, error) {
	found, err := r.opts.PDF.Read(ctx, src.data, func(done, pages int) { r.report(ctx, "extract", done, pages) })
	if err != nil {
		return nil, err
	}
	return extract.Pages(found, src.name)
}

// dataset stores the bars as a dataset, and describes them as a document. Storing them again under the
// same name is the same dataset.
func (r *run) dataset(ctx context.Context, src source) (library.Ingested, *knowledge.Extracted, error) {
	bars, err := ohlcv.Read(src.data)
	if err != nil {
		return library.Ingested{}, nil, knowledge.Rejectf("this is not a valid set of bars: %v", err)
	}
	options := r.job.Options
	name := options.Title
	if name == "" {
		name = strings.TrimSuffix(path.Base(src.name), path.Ext(src.name))
	}
	if name = knowledge.Line(name, 100); name == "" || name == "." || name == "/" {
		return library.Ingested{}, nil, knowledge.Rejectf("the dataset has no name: give it a title")
	}
	meta := market.Dataset{Name: name, Symbol: options.Symbol, Timeframe: options.Timeframe, Calendar: backtest.Calendar(options.Calendar)}
	if meta.Symbol == "" {
		meta.Symbol = knowledge.Line(strings.ToUpper(name), 40)
	}
	if meta.Timeframe == "" {
		meta.Timeframe = extract.Timeframe(bars)
	}
	if meta.Calendar == 0 {
		meta.Calendar = backtest.CalendarExchange
	}
	stored, err := r.store.Market.PutDataset(ctx, r.lease.Workspace, meta, bars)
	if errors.Is(err, store.ErrConflict) {
		return library.Ingested{}, nil, knowledge.Rejectf("datasets are immutable, and %q holds other bars: take another name", name)
	}
	if err != nil {
		return library.Ingested{}, nil, err
	}
	extracted := extract.Bars(stored.Name, stored.Symbol, stored.Timeframe, bars)
	extracted.Metadata["dataset_id"] = stored.ID.String()
	return library.Ingested{DatasetID: &stored.ID}, extracted, nil
}

// transcript fetches the subtitles of a video: its page says where they are.
func (r *run) transcript(ctx context.Context) (source, error) {
	const maxPage, maxTranscript = 10 << 20, 20 << 20
	id := extract.YouTubeID(*r.job.URL)
	page, err := r.opts.Fetcher.Fetch(ctx, r.opts.YouTube+"/watch?v="+id+"&hl=en", maxPage)
	if err != nil {
		return source{}, err
	}
	video, err := extract.VideoPage(page.Body)
	if err != nil {
		return source{}, err
	}
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
		return source{}, knowledge.Rejectf("YouTube gives this video's subtitles to its own player only: download them and send them as a file")
	}
	return source{
		data: fetched.Body, address: fetched.URL, title: video.Title, author: video.Channel, name: id,
		about: map[string]any{"video_id": id, "language": caption.Language, "generated": caption.Generated, "duration_seconds": video.Seconds},
	}, nil
}
