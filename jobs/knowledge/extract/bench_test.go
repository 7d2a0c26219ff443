package extract_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// BenchmarkExtract is the speed of each extractor on one core, on sources of common shape. Reading
// the pages of a PDF is jobs/worker/ingestion/pdf's; here their lines become paragraphs.
func BenchmarkExtract(b *testing.B) {
	sentence := "The strategy buys when the fast average rises above the slow one and sells when it falls below. "
	var markdown, article, captions, pine strings.Builder
	article.WriteString("<!doctype html><html><head><title>T</title></head><body><nav>" + strings.Repeat("<a href=x>link</a> ", 50) + "</nav><article>")
	captions.WriteString("WEBVTT\n\n")
	pine.WriteString("//@version=5\nstrategy(\"T\")\n")
	pdf := extract.PDF{}
	for i := range 200 {
		fmt.Fprintf(&markdown, "## Part %d\n\n%s\n\n", i, strings.Repeat(sentence, 5))
		fmt.Fprintf(&article, "<h2>Part %d</h2><p>%s</p>\n", i, strings.Repeat(sentence, 5))
		fmt.Fprintf(&captions, "00:%02d:%02d.000 --> 00:%02d:%02d.900\n%s\n\n", i/60, i%60, i/60, i%60, sentence)
		fmt.Fprintf(&pine, "len%d = input.int(%d, \"Length %d\", minval = 1)\navg%d = ta.sma(close, len%d)\n\n", i, i+1, i, i, i)
		pdf.Pages = append(pdf.Pages, strings.Repeat(sentence[:90]+"\r\n", 40))
	}
	article.WriteString("</article></body></html>")
	pages := 0
	for _, page := range pdf.Pages {
		pages += len(page)
	}
	bars := ohlcv.Sample()
	for _, bench := range []struct {
		source knowledge.SourceType
		bytes  int
		run    func() (*knowledge.Extracted, error)
	}{
		{knowledge.SourceText, markdown.Len(), func() (*knowledge.Extracted, error) { return extract.Text([]byte(markdown.String()), "t.md") }},
		{knowledge.SourceArticle, article.Len(), func() (*knowledge.Extracted, error) {
			return extract.Article([]byte(article.String()), "text/html; charset=utf-8", "https://example.com/")
		}},
		{knowledge.SourceYouTube, captions.Len(), func() (*knowledge.Extracted, error) { return extract.Transcript([]byte(captions.String()), "t.vtt") }},
		{knowledge.SourcePine, pine.Len(), func() (*knowledge.Extracted, error) {
			return extract.Pine([]byte(pine.String()), "t.pine", front(extract.PineFacts{}))
		}},
		{knowledge.SourcePDF, pages, func() (*knowledge.Extracted, error) { return extract.Pages(pdf, "t.pdf") }},
		{knowledge.SourceDataset, len(bars), func() (*knowledge.Extracted, error) {
			read, _, err := pricefile.ReadBytes(bars, pricefile.Options{})
			if err != nil {
				return nil, err
			}
			return extract.Bars("t", "T", "1d", read), nil
		}},
	} {
		b.Run(string(bench.source), func(b *testing.B) {
			b.Log("timed: a source made into blocks of text, in memory; of a PDF, the text of 200 pages")
			b.SetBytes(int64(bench.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
