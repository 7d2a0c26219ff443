package ingestion_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/store"
	"millrace/store/library"
)

const subtitles = "WEBVTT\n\n00:01.000 --> 00:04.000\nThe turtle traders bought breakouts of twenty days.\n\n00:10.000 --> 00:14.000\nThey sold at ten day lows.\n"

const blog = `<!doctype html><html><head><title>Pairs trading</title></head><body><article><h1>Pairs trading</h1>
<p>Cointegration of two stocks lets a trader sell the rich one and buy the cheap one until the spread comes back to its mean,
which is a bet on the pair and not on the market, since both legs move with it.</p><p>The half life of the spread says how long
to wait for it, and a spread that does not come back in three half lives is closed at a loss by most desks that trade them.</p></article></body></html>`

const pineSource = "//@version=5\nstrategy(\"Keltner squeeze\")\nlen = input.int(20, \"Length\")\n\nbasis = ta.ema(close, len)\nplot(basis)\n"

// Each type of source goes from a file to a chunk that a question finds, with the place it is cited by.
func TestEverySourceBecomesAFindableDocument(t *testing.T) {
	r := newFixture(t)
	r.work()
	for _, test := range []struct {
		source                      knowledge.SourceType
		name                        string
		content                     []byte
		title, question, want, cite string
	}{
		{knowledge.SourceText, "notes.md", []byte("# Opening range\n\nThe first half hour sets the range of the opening.\n"), "Opening range", "opening range half hour", "first half hour", "lines 1–3"},
		{knowledge.SourcePDF, "paper.pdf", pdftest.Text("Intro page about nothing much at all.", "The kelly criterion sizes a bet by its edge over its odds."), "A title", "kelly criterion sizes bet edge odds", "kelly criterion", "p. 1–2"},
		{knowledge.SourceArticle, "page.html", []byte(blog), "Pairs trading", "cointegration spread half life", "Cointegration of two stocks", ""},
		{knowledge.SourceYouTube, "talk.vtt", []byte(subtitles), "talk", "turtle traders breakouts", "turtle traders bought", "0:01–0:14"},
		{knowledge.SourcePine, "keltner.pine", []byte(pineSource), "Keltner squeeze", "keltner squeeze ema length", "ta.ema(close, len)", "lines 1–6"},
		{knowledge.SourceDataset, "spx500.csv", ohlcv.Sample(), "spx500 (SPX500, 1d bars)", "SPX500 price bars maximum drawdown", "maximum drawdown", ""},
	} {
		in := r.submit(library.NewIngest{SourceType: test.source, Name: test.name}, test.content)
		require.Equal(t, library.IngestQueued, in.Status)
		ended := r.done(in)
		require.Equal(t, "created", *ended.Outcome)
		doc, chunks := r.document(in.DocumentID)
		require.Equal(t, test.title, doc.Title)
		require.Equal(t, len(chunks), doc.Chunks)
		require.Positive(t, doc.Tokens)
		found := r.find(test.question, chunks)
		require.NotNil(t, found, test.source)
		require.Contains(t, found.Text, test.want)
		require.Equal(t, test.cite, found.Position.String(), test.source)
		require.Eventually(t, func() bool { // it is counted once the work is stored
			return testutil.ToFloat64(r.metrics.IngestJobs.WithLabelValues(string(test.source), "completed")) == 1
		}, 30*time.Second, 10*time.Millisecond, "%s is not counted", test.source)

		types := r.events(in.ID)
		require.Equal(t, "ingestion.job.queued", types[0])
		require.Equal(t, "ingestion.job.running", types[1])
		require.Equal(t, "ingestion.job.progress", types[2])
		require.Equal(t, "ingestion.job.completed", types[len(types)-1])
	}
	require.Zero(t, r.count(`select count(*) from ingest_uploads`), "what was sent is not kept")
	dataset, err := r.store.Market.Dataset(t.Context(), r.space.ID, "spx500")
	require.NoError(t, err)
	require.Equal(t, "1d", dataset.Timeframe)
	docs, err := r.store.Library.Documents(t.Context(), r.space.ID, library.DocumentFilter{}, store.Page{}, 10)
	require.NoError(t, err)
	require.Len(t, docs, 6)
	require.Equal(t, dataset.ID.String(), docs[0].Metadata["dataset_id"])
	inputs := metadata[[]extract.PineInput](t, docs[1], "inputs")
	require.Equal(t, "Length", inputs[0].Title)
}

func TestFullTextFindsTitleHeadingAndText(t *testing.T) {
	r := newFixture(t)
	r.work()
	r.done(r.text("volatility.md", "# Sizing\n\nPositions are scaled by volatility targeting.\n"))
	for _, words := range []string{"volatility", "sizing", "scaling positions"} {
		require.Equal(t, 1, r.count(`select count(*) from chunks where search @@ websearch_to_tsquery('english', $1)`, words), words)
	}
	require.Zero(t, r.count(`select count(*) from chunks where search @@ websearch_to_tsquery('english', 'cryptocurrency')`))
}

func TestFetchedSourcesAreDetected(t *testing.T) {
	r := newFixture(t)
	r.handle(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/paper": // a PDF that its address does not show
			_, _ = w.Write(pdftest.Text("Risk parity weighs assets by the inverse of their volatility."))
		case "/blog":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(blog))
		case "/x.pine":
			_, _ = w.Write([]byte(pineSource))
		case "/watch":
			fmt.Fprintf(w, `<script>{"captions":{"captionTracks":[{"baseUrl":"%s/timedtext?lang=en","languageCode":"en","kind":"asr"}]},
				"videoDetails":{"title":"Turtles","author":"A Channel","lengthSeconds":"99"}}</script>`, r.site.URL)
		case "/timedtext":
			fmt.Fprint(w, `{"events":[{"tStartMs":500,"dDurationMs":2000,"segs":[{"utf8":"the turtles bought breakouts"}]}]}`)
		default:
			http.NotFound(w, req)
		}
	})
	r.work()
	for address, want := range map[string]knowledge.SourceType{
		"/paper": knowledge.SourcePDF, "/blog": knowledge.SourceArticle, "/x.pine": knowledge.SourcePine,
	} {
		in := r.done(r.submit(library.NewIngest{SourceType: knowledge.SourceArticle, Detected: true, URL: r.site.URL + address}, nil))
		require.Equal(t, want, in.SourceType, address)
		doc, _ := r.document(in.DocumentID)
		require.Equal(t, want, doc.SourceType)
		require.Equal(t, r.site.URL+address, doc.CanonicalURL)
	}
	require.Equal(t, 3, r.count(`select count(*) from documents`), "a document of a type that was guessed wrong is gone")
	named := r.submit(library.NewIngest{SourceType: knowledge.SourceArticle, URL: r.site.URL + "/paper"}, nil)
	require.Contains(t, r.failed(named), "not an HTML page", "a type that was named is not changed")

	video := r.done(r.submit(library.NewIngest{SourceType: knowledge.SourceYouTube, URL: "https://youtu.be/dQw4w9WgXcQ"}, nil))
	doc, chunks := r.document(video.DocumentID)
	require.Equal(t, "https://www.youtube.com/watch?v=dQw4w9WgXcQ", doc.CanonicalURL)
	require.Equal(t, "Turtles", doc.Title)
	require.Equal(t, "A Channel", doc.Author)
	require.Equal(t, true, doc.Metadata["generated"])
	require.Equal(t, "0:00–0:02", chunks[0].Position.String())
}

func TestUnchangedContentIsANoOp(t *testing.T) {
	r := newFixture(t)
	r.work()
	first := r.done(r.text("a.txt", passage("momentum", 600)))
	doc, chunks := r.document(first.DocumentID)
	calls := r.embedder.calls.Load()
	again := r.done(r.text("a.txt", passage("momentum", 600)))
	require.Equal(t, "unchanged", *again.Outcome)
	require.Equal(t, doc.Chunks, again.Chunks)
	sameDoc, sameChunks := r.document(first.DocumentID)
	require.Equal(t, doc, sameDoc)
	require.Equal(t, chunks, sameChunks)
	require.Equal(t, calls, r.embedder.calls.Load(), "nothing is embedded again")
}

func TestChangedContentReplacesChunksAndVectors(t *testing.T) {
	r := newFixture(t)
	r.work()
	first := r.done(r.text("a.txt", passage("momentum", 900)))
	_, before := r.document(first.DocumentID)
	second := r.done(r.text("a.txt", passage("carry", 300)))
	require.Equal(t, first.DocumentID, second.DocumentID)
	require.Equal(t, "replaced", *second.Outcome)
	doc, after := r.document(first.DocumentID)
	require.Less(t, len(after), len(before))
	require.Equal(t, second.Revision, doc.Revision)
	for _, c := range after {
		require.NotContains(t, c.Text, "momentum")
	}
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from vectors where embedding is not null`) == len(after)
	}, eventually, tick, "the vectors of the old revision go")
	require.NotNil(t, r.find("carry signal", after))
}

func TestBadSourcesFailWithAReason(t *testing.T) {
	r := newFixture(t)
	r.opts.MaxChunks = 20
	r.handle(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `{"error":"not a page"}`)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/watch":
			fmt.Fprint(w, `{"videoDetails":{"title":"Silent"}}`)
		case "/metadata":
			http.Redirect(w, req, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		}
	})
	r.work()
	file := func(source knowledge.SourceType, name string, content []byte) *library.Ingest {
		return r.submit(library.NewIngest{SourceType: source, Name: name}, content)
	}
	fetched := func(source knowledge.SourceType, address string) *library.Ingest {
		return r.submit(library.NewIngest{SourceType: source, URL: address}, nil)
	}
	for want, in := range map[string]*library.Ingest{
		"the PDF is encrypted":        file(knowledge.SourcePDF, "secret.pdf", pdftest.Encrypted()),
		"the PDF is damaged":          file(knowledge.SourcePDF, "cut.pdf", pdftest.Text("One")[:30]),
		"not a PDF":                   file(knowledge.SourcePDF, "no.pdf", []byte("hello")),
		"is empty":                    file(knowledge.SourcePDF, "zero.pdf", []byte{}),
		"looks scanned":               file(knowledge.SourcePDF, "scan.pdf", pdftest.Text("", "", "")),
		"10000 pages":                 file(knowledge.SourcePDF, "long.pdf", pdftest.Text(make([]string, 10_000)...)),
		"not text":                    file(knowledge.SourceText, "x.txt", []byte("\x00\x01\x02")),
		"over 20 chunks":              file(knowledge.SourceText, "book.txt", []byte(passage("everything", 30_000))),
		"no subtitle":                 file(knowledge.SourceYouTube, "x.vtt", []byte("WEBVTT\n")),
		"not a valid set of bars":     file(knowledge.SourceDataset, "x.csv", []byte("time,open,high,low,close\n1,2,3\n")),
		"not an HTML page":            fetched(knowledge.SourceArticle, r.site.URL+"/json"),
		"410 Gone":                    fetched(knowledge.SourceArticle, r.site.URL+"/gone"),
		"has no subtitles":            fetched(knowledge.SourceYouTube, "https://youtu.be/dQw4w9WgXcQ"),
		"not on the public internet":  fetched(knowledge.SourceArticle, r.site.URL+"/metadata"),
		"a spelling that is not acce": fetched(knowledge.SourceArticle, "http://2130706433/"),
	} {
		require.Contains(t, r.failed(in), want)
		require.NotContains(t, reason(in), "127.0.0.1")
		ended := r.until(in.ID, library.IngestFailed)
		require.True(t, ended.Final, want)
		require.False(t, ended.Retryable(), want)
		require.Equal(t, "ingestion.job.failed", r.events(in.ID)[len(r.events(in.ID))-1])
	}
	require.Zero(t, r.count(`select count(*) from documents`), "nothing is left of them")
	require.Zero(t, r.count(`select count(*) from chunks`))
	require.Zero(t, r.count(`select count(*) from ingest_uploads`))
	require.Zero(t, r.count(`select count(*) from vectors where embedding is not null`))
	require.Zero(t, r.count(`select count(*) from river_job where state in ('available', 'running', 'retryable', 'scheduled') and kind like 'ingest%'`))
	require.EqualValues(t, 6, testutil.ToFloat64(r.metrics.IngestFailures.WithLabelValues("pdf")))
	require.True(t, strings.HasPrefix(reason(r.until(r.text("ok.txt", "All is well.").ID, library.IngestCompleted)), ""))
}

// Files are in old encodings, cut in the middle of a character, or have bytes that are nothing: what
// is stored is text, with what could be read of it.
func TestTextThatIsNotUTF8IsRead(t *testing.T) {
	r := newFixture(t)
	r.work()
	for source, content := range map[knowledge.SourceType]string{
		knowledge.SourceText:    "Volatilit\xe9 of the caf\xe9 trade rises \xff in autumn.",
		knowledge.SourceArticle: "<!doctype html><title>A \xff</title><p>" + strings.Repeat("Carry \xe2\x82 and momentum trade together. ", 10),
		knowledge.SourceYouTube: "WEBVTT\n\n00:01.000 --> 00:04.000\nThe trade \xc3\x28 was closed.\n",
		knowledge.SourcePine:    "//@version=5\nindicator(\"trade \xff\")\nplot(close) // \xed\xa0\x80\n",
	} {
		in := r.done(r.submit(library.NewIngest{SourceType: source, Name: "x-" + string(source)}, []byte(content)))
		doc, chunks := r.document(in.DocumentID)
		require.Contains(t, chunks[0].Text, "trade", source)
		for _, text := range []string{doc.Title, chunks[0].Text} {
			require.True(t, utf8.ValidString(text), source)
			require.NotContains(t, text, "\x00", source)
		}
	}
}
