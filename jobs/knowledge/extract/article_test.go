package extract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// page is an article with the clutter that pages have.
const page = `<!doctype html><html lang="en"><head><title>Momentum, explained | Example Blog</title>
<meta name="author" content="Ann Author"><meta property="og:site_name" content="Example Blog">
<meta property="article:published_time" content="2024-02-03T10:00:00+02:00"><style>p{color:red}</style></head><body>
<nav><a href="/">Home</a> <a href="/about">About us and our cookies</a></nav>
<div class="sidebar">Subscribe to our newsletter! <a href="/x">Buy now</a></div>
<article><h1>Momentum, explained</h1>
<p>Momentum is the tendency of assets that have <b>risen</b> over the past year to keep rising, and of those that have
fallen to keep falling. It was described by Jegadeesh and Titman, and it is one of the most studied anomalies.</p>
<h2>How it is measured</h2>
<p>The usual measure is the return of the past twelve months without the last one, since the last month reverses.<br>
Portfolios are formed every month, hold the winners, and sell the losers short for the months that follow.</p>
<ul><li>Winners: the top decile by that return.</li><li>Losers: the bottom decile, which carries crash risk.</li></ul>
<pre>rank = close / close[252] - 1
  if rank > 0
      buy()</pre>
<table><tr><th>Decile</th><th>Return</th></tr><tr><td>10</td><td>1.2 %</td></tr></table>
<p>Costs matter: turnover is high, so that a strategy that looks good on paper may earn nothing after commissions.</p>
</article><footer>© Example. All rights reserved. Privacy policy.</footer><script>alert("x")</script></body></html>`

func TestArticleKeepsItsTextAndDropsTheRest(t *testing.T) {
	t.Parallel()
	e, err := extract.Article([]byte(page), "text/html; charset=utf-8", "https://example.com/momentum")
	require.NoError(t, err)
	require.Contains(t, e.Title, "Momentum, explained")
	require.Equal(t, "Ann Author", e.Author)
	require.Equal(t, time.Date(2024, 2, 3, 8, 0, 0, 0, time.UTC), *e.PublishedAt)
	require.Equal(t, "Example Blog", e.Metadata["site"])
	var all []string
	for _, block := range e.Blocks {
		all = append(all, block.Text)
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		"assets that have risen over the past year", "since the last month reverses.\nPortfolios", "Winners: the top decile",
		"rank = close / close[252] - 1\n  if rank > 0\n      buy()", "10 | 1.2 %", "Costs matter",
	} {
		require.Contains(t, text, want)
	}
	for _, clutter := range []string{"cookies", "newsletter", "alert", "Privacy", "color"} {
		require.NotContains(t, text, clutter)
	}
	last := e.Blocks[len(e.Blocks)-1]
	require.Equal(t, "How it is measured", last.Position.Heading)
}

func TestPageWithoutAnArticleIsTakenWhole(t *testing.T) {
	t.Parallel()
	e, err := extract.Article([]byte("<html><title>Note</title><body><p>Sell in May.</p></body></html>"), "", "")
	require.NoError(t, err)
	require.Equal(t, "Note", e.Title)
	require.Equal(t, "Sell in May.", e.Blocks[0].Text)
}

func TestArticleInAnotherEncoding(t *testing.T) {
	t.Parallel()
	latin := "<html><head><meta charset=iso-8859-1></head><body><p>Volatilit\xE9 et r\xE9gression vers la moyenne</p></body></html>"
	e, err := extract.Article([]byte(latin), "text/html", "https://example.com/")
	require.NoError(t, err)
	require.Equal(t, "Volatilité et régression vers la moyenne", e.Blocks[0].Text)
	unnamed := "<html><body><p>\x82\xb1\x82\xea\x82\xcd\x83e\x83X\x83g\x82\xc5\x82\xb7</p></body></html>"
	e, err = extract.Article([]byte(unnamed), "text/html", "https://example.com/")
	require.NoError(t, err)
	require.Equal(t, "これはテストです", e.Blocks[0].Text, "neither page nor server names Shift-JIS")
	e, err = extract.Article([]byte("<html><body><p>bad \xff bytes \x00 here</p></body></html>"), "text/html; charset=utf-8", "")
	if err == nil {
		require.NotContains(t, e.Blocks[0].Text, "\x00")
	}
}

func TestInvalidArticlesAreRejected(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"":                                     "not an HTML page",
		`{"error": "not found"}`:               "not an HTML page",
		"%PDF-1.7\n\x00\x01":                   "not an HTML page",
		"plain words":                          "not an HTML page",
		"<html><body></body></html>":           "no text",
		"<html><script>run()</script></html>":  "no text",
		strings.Repeat("<div>", 200_000):       "",
		"<html>" + strings.Repeat("x", 11<<20): "limit",
	} {
		_, err := extract.Article([]byte(data), "text/html", "https://example.com/")
		rejected(t, err, want)
	}
}

func TestArticleOfManyElementsIsRead(t *testing.T) {
	t.Parallel()
	e, err := extract.Article([]byte("<html><body>"+strings.Repeat("<p>Short paragraph.</p>", 60_000)+"</body></html>"), "", "")
	require.NoError(t, err)
	require.Len(t, e.Blocks, 60_000)
	require.Equal(t, knowledge.BreakParagraph, e.Blocks[5].Break)
}
