package ingestion_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/store/library"
)

// BenchmarkIngest is a document's whole way, from its submission to its last chunk in Postgres and its
// last vector in the embedded index, with the hash embedder and one job at a time.
// BenchmarkIngest is the whole way of an uploaded file of each source: stored in Postgres, worked by a
// fleet of one, extracted, cut, embedded by the hash embedder, indexed in the embedded index and saved.
func BenchmarkIngest(b *testing.B) {
	page := strings.Repeat("The strategy buys when the fast average rises above the slow one, and sells.\n", 40)
	for _, bench := range []struct {
		source  knowledge.SourceType
		pages   int
		content func(i int) []byte
	}{
		{knowledge.SourceText, 0, func(i int) []byte {
			return []byte(strings.Repeat(fmt.Sprintf("Note %d: %s\n\n", i, passage("momentum", 120)), 300))
		}},
		{knowledge.SourcePDF, 50, func(i int) []byte {
			pages := make([]string, 50)
			for p := range pages {
				pages[p] = fmt.Sprintf("Page %d of document %d.\n%s", p, i, page)
			}
			return pdftest.Text(pages...)
		}},
		{knowledge.SourceArticle, 0, func(i int) []byte {
			var html strings.Builder
			fmt.Fprintf(&html, "<!doctype html><title>Article %d</title><body><article>", i)
			for range 200 {
				fmt.Fprintf(&html, "<p>%s</p>", passage("carry", 100))
			}
			return []byte(html.String())
		}},
		{knowledge.SourceYouTube, 0, func(i int) []byte {
			captions := strings.Builder{}
			captions.WriteString("WEBVTT\n\n")
			for line := range 1000 {
				fmt.Fprintf(&captions, "%02d:%02d.000 --> %02d:%02d.900\nCue %d of talk %d. %s\n\n", line/60, line%60, line/60, line%60, line, i, passage("gaps", 12))
			}
			return []byte(captions.String())
		}},
		{knowledge.SourcePine, 0, func(i int) []byte {
			script := strings.Builder{}
			fmt.Fprintf(&script, "//@version=5\nstrategy(\"Script %d\")\n", i)
			for line := range 400 {
				fmt.Fprintf(&script, "len%d = input.int(%d, \"Length %d\", minval = 1)\navg%d = ta.sma(close, len%d)\n\n", line, line+1, line, line, line)
			}
			return []byte(script.String())
		}},
		{knowledge.SourceDataset, 0, func(int) []byte { return ohlcv.Sample() }},
	} {
		b.Run(string(bench.source), func(b *testing.B) {
			b.Log("timed: a file from its upload until its job has ended, one after another; MB/s is of the file")
			r := newFixture(b)
			r.work()
			r.done(r.submit(library.NewIngest{SourceType: bench.source, Name: "warm"}, bench.content(-1)))
			contents := [][]byte{}
			for i := range 8 {
				contents = append(contents, bench.content(i))
			}
			b.SetBytes(int64(len(contents[0])))
			b.ReportAllocs()
			n, chunks := 0, 0
			for b.Loop() {
				in := r.submit(library.NewIngest{SourceType: bench.source, Name: fmt.Sprint("document", n)}, contents[n%len(contents)])
				done := r.done(in)
				require.Equal(b, "created", *done.Outcome)
				chunks += done.Chunks
				n++
			}
			b.ReportMetric(float64(chunks)/b.Elapsed().Seconds(), "chunks/s")
			if bench.pages > 0 {
				b.ReportMetric(float64(n*bench.pages)/b.Elapsed().Seconds(), "pages/s")
			}
		})
	}
}
