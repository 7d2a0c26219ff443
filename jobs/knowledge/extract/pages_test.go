package extract_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

func TestPagesBecomeParagraphsWithTheirPage(t *testing.T) {
	t.Parallel()
	var pdf extract.PDF
	for i := range 6 {
		pdf.Pages = append(pdf.Pages, fmt.Sprintf(
			"Journal of Tests, vol. 12\r\n%d | Page\r\nThe first paragraph of page %d goes over two lines of print as mean re\x02\r\nversion does and ends here.\r\n"+
				"A second one.\r\n\r\nA third about this and that, which is as long as a line of print can be on it.\r\n• an item\r\n• %s\r\nConfidential %d\r\n",
			i+1, i+1, strings.Repeat("word ", i+1), i+1))
	}
	e, err := extract.Pages(pdf, "dir/paper.pdf")
	require.NoError(t, err)
	require.Equal(t, "paper", e.Title)
	require.Equal(t, 6, e.Metadata["pages"])
	require.Len(t, e.Blocks, 6*5)
	first := e.Blocks[5]
	require.Equal(t, "The first paragraph of page 2 goes over two lines of print as mean reversion does and ends here.", strings.ReplaceAll(first.Text, "\n", " "))
	require.Equal(t, knowledge.Position{Page: 2, PageEnd: 2}, first.Position)
	require.Equal(t, knowledge.BreakSection, first.Break)
	require.Equal(t, "• word word", strings.TrimSpace(e.Blocks[9].Text))
	for _, block := range e.Blocks {
		require.NotContains(t, block.Text, "Journal")
		require.NotContains(t, block.Text, "Confidential")
		require.NotContains(t, block.Text, "| Page")
	}
}

func TestPagesWithoutText(t *testing.T) {
	t.Parallel()
	_, err := extract.Pages(extract.PDF{}, "x.pdf")
	rejected(t, err, "no pages")
	_, err = extract.Pages(extract.PDF{Pages: make([]string, 20)}, "x.pdf")
	rejected(t, err, "scanned")
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		data, name string
		want       knowledge.SourceType
	}{
		{"%PDF-1.7\n", "", knowledge.SourcePDF},
		{"\n\n%PDF-1.7\n", "x", knowledge.SourcePDF},
		{"", "x.PDF", knowledge.SourcePDF},
		{"PAR1\x00", "x", knowledge.SourceDataset},
		{"Date,Open,High,Low,Close,Volume\n2020-01-01,1,2,0.5,1,3\n", "x.csv", knowledge.SourceDataset},
		{"time;open;high;low;close\n", "", knowledge.SourceDataset},
		{vtt, "", knowledge.SourceYouTube},
		{srt, "", knowledge.SourceYouTube},
		{srt, "talk.txt", knowledge.SourceYouTube},
		{timedText, "x.json", knowledge.SourceYouTube},
		{script, "", knowledge.SourcePine},
		{"plot(close)", "x.pine", knowledge.SourcePine},
		{page, "", knowledge.SourceArticle},
		{"<!-- x --> <html>", "", knowledge.SourceArticle},
		{"A page begins with <html> and a <body>.", "", knowledge.SourceText},
		{"# Title\n\nname,open,high", "x.md", knowledge.SourceText},
		{"name,value\n1,2\n", "x.csv", knowledge.SourceText},
		{"", "", knowledge.SourceText},
	} {
		require.Equal(t, test.want, extract.Detect([]byte(test.data), test.name), "%q %q", test.data[:min(20, len(test.data))], test.name)
	}
}

// Glyphs without letters are left out or refused: what they come out as is not what was written.
func TestGlyphsThatFontsDoNotMapAreNotStored(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("A page of plain words. ", 20)
	for name, page := range map[string]string{
		"private": strings.Repeat("\uf041\uf062\uf063 ", 50), "control": strings.Repeat("\x01\x05\x1f ", 50), "replaced": strings.Repeat("\ufffda\ufffd ", 50),
	} {
		_, err := extract.Pages(extract.PDF{Pages: []string{page, page, good}}, "x.pdf")
		rejected(t, err, "fonts")
		e, err := extract.Pages(extract.PDF{Pages: []string{good, page, good}}, "x.pdf")
		require.NoError(t, err, name)
		require.Equal(t, []int{2}, e.Metadata["unmapped_pages"], name)
		for _, block := range e.Blocks {
			require.NotContains(t, block.Text, "\uf041")
			require.NotEqual(t, 2, block.Position.Page)
		}
	}
	_, err := extract.Pages(extract.PDF{Pages: []string{good + "\uf0b7 one bullet"}}, "x.pdf")
	require.NoError(t, err, "a bullet of a symbol font is usual")
}
