package pdf_test

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/pdf"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
)

// printed is one of our own articles: its title, and its paragraphs, of which those with level are headings.
type printed struct {
	name, title string
	paragraphs  []paragraph
}

type paragraph struct {
	level int // of a heading; 0: text
	text  string
}

func (p printed) text() string {
	var all strings.Builder
	for _, part := range p.paragraphs {
		all.WriteString(part.text + "\n\n")
	}
	return all.String()
}

// articles are the prose of the committed judged set, without tables, lists and code.
func articles(t *testing.T) []printed {
	t.Helper()
	files, err := filepath.Glob("../../../knowledge/judge/testdata/documents/*.md")
	require.NoError(t, err)
	var all []printed
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(raw), "```") || strings.HasPrefix(filepath.Base(file), "own-") {
			continue
		}
		p := printed{name: filepath.Base(file)}
		for line := range strings.Lines(string(raw)) {
			text := strings.TrimSpace(line)
			level := len(text) - len(strings.TrimLeft(text, "#"))
			text = strings.TrimSpace(text[level:])
			if text == "" || strings.ContainsAny(text[:1], "|-*0123456789") {
				continue
			}
			if level == 1 {
				p.title = text
			}
			p.paragraphs = append(p.paragraphs, paragraph{level, text})
		}
		all = append(all, p)
	}
	require.Greater(t, len(all), 30)
	return all
}

// f1 is the harmonic mean of precision and recall of the words that came out, each as often as it is there.
func f1(want, got string) float64 {
	words := func(text string) map[string]int {
		counts := map[string]int{}
		for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			counts[word]++
		}
		return counts
	}
	a, b := words(want), words(got)
	var both, wanted, found int
	for word, n := range a {
		wanted += n
		both += min(n, b[word])
	}
	for _, n := range b {
		found += n
	}
	if both == 0 {
		return 0
	}
	precision, recall := float64(both)/float64(found), float64(both)/float64(wanted)
	return 2 * precision * recall / (precision + recall)
}

func textOf(e *knowledge.Extracted) string {
	var all strings.Builder
	for _, block := range e.Blocks {
		all.WriteString(block.Text + "\n")
	}
	return all.String()
}

// page is an article as a site shows it: with a menu, related links, comments, a form and a foot.
func (p printed) page(frame int) []byte {
	var body strings.Builder
	for _, part := range p.paragraphs {
		tag := "p"
		if part.level > 0 {
			tag = fmt.Sprint("h", part.level)
		}
		fmt.Fprintf(&body, "<%s>%s</%s>\n", tag, html.EscapeString(part.text), tag)
	}
	menu := "<ul class=menu>" + strings.Repeat("<li><a href=/x>Another section</a></li>", 12) + "</ul>"
	foot := "<footer><p>Copyright of the site. <a href=/p>Privacy</a> <a href=/t>Terms</a></p><form><input name=mail><button>Subscribe to the newsletter</button></form></footer>"
	side := "<aside class=sidebar><h3>Most read</h3><ul>" + strings.Repeat("<li><a href=/y>A headline about something else</a></li>", 8) + "</ul></aside>"
	said := "<section id=comments class=comments><h3>Comments</h3>" + strings.Repeat("<div class=comment><b>A reader</b> <a href=/r>Reply</a></div>", 5) + "</section>"
	head := "<!doctype html><html><head><meta charset=utf-8><title>" + html.EscapeString(p.title) + "</title><script>var a = 1</script><style>p{}</style></head><body>"
	switch frame {
	case 0:
		head += "<header><nav>" + menu + "</nav></header><main><article>" + body.String() + "</article></main>" + side + said + foot
	case 1:
		head += "<div id=top>" + menu + "</div><div class=layout><div class=content>" + body.String() + "</div>" + side + "</div>" + said + foot
	default:
		head += "<table><tr><td>" + menu + "</td><td class=post>" + body.String() + "</td></tr></table>" + foot
	}
	return []byte(head + "</body></html>")
}

// file is articles in print: lines of 88 characters, some words broken, under a running head and over a page number.
func (p printed) file() []byte {
	var lines []string
	for _, part := range p.paragraphs {
		line := ""
		for word := range strings.FieldsSeq(part.text) {
			word = strings.NewReplacer("’", "'", "–", "-", "“", `"`, "”", `"`, "×", "x", "·", ".", "−", "-", "√", "").Replace(word)
			if len(line)+1+len(word) > 88 {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		lines = append(lines, line, "")
	}
	var pages []string
	for page := range slices.Chunk(lines, 24) {
		pages = append(pages, "Collected notes on trading\n\n"+strings.Join(page, "\n")+fmt.Sprintf("\n\nPage %d", len(pages)+1))
	}
	return pdftest.Text(pages...)
}

// What came out of public articles was 0.993 and out of public PDF files 0.991 (median); of our own, under these frames, it is
// no less. Comments and fields are beside the text of pages, so that a file without any gives what it gave.
func TestExtractionKeepsTheTextAndLeavesTheRest(t *testing.T) {
	engine := newEngine(t, pdf.Options{})
	var pages, files []float64
	all := articles(t)
	for _, p := range all {
		for frame := range 3 {
			made, err := extract.Article(p.page(frame), "text/html; charset=utf-8", "https://example.com/"+p.name)
			require.NoError(t, err, p.name)
			pages = append(pages, f1(p.text(), made.Title+"\n"+textOf(made))) // the title's heading is not in the text again
		}
	}
	for some := range slices.Chunk(all, 8) {
		var p printed
		for _, article := range some {
			p.name, p.paragraphs = article.name, append(p.paragraphs, article.paragraphs...)
		}
		read, err := engine.Read(t.Context(), p.file(), nil)
		require.NoError(t, err, p.name)
		require.Empty(t, slices.Concat(read.Notes...))
		made, err := extract.Pages(read, p.name)
		require.NoError(t, err, p.name)
		files = append(files, f1(p.text(), textOf(made)))
	}
	mean := func(values []float64) (sum float64) {
		for _, v := range values {
			sum += v / float64(len(values))
		}
		return sum
	}
	slices.Sort(pages)
	slices.Sort(files)
	t.Logf("F1 of words: %d articles mean %.4f, median %.4f, least %.3f; %d PDF files mean %.4f, median %.4f, least %.3f",
		len(pages), mean(pages), pages[len(pages)/2], pages[0], len(files), mean(files), files[len(files)/2], files[0])
	require.GreaterOrEqual(t, mean(pages), 0.993)
	require.GreaterOrEqual(t, files[len(files)/2], 0.991)
}
