package extract

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"millrace/jobs/knowledge"
)

const (
	maxArticleBytes = 10 << 20
	// maxElements bounds what is weighed to find the article; a page with more is taken as a whole.
	maxElements = 50_000
	// minArticle is the text, in bytes, below which the article found is less likely than the whole page.
	minArticle = 250
)

// Article reads an HTML page: the article in it without what surrounds it, or the whole page where
// none stands out. contentType is what the server called it, and may be empty; address is where it
// came from.
func Article(data []byte, contentType, address string) (*knowledge.Extracted, error) {
	if len(data) > maxArticleBytes {
		return nil, knowledge.Rejectf("the page has %d bytes: the limit is %d", len(data), maxArticleBytes)
	}
	if !LooksLikeHTML(data) {
		return nil, knowledge.Rejectf("this is not an HTML page")
	}
	doc, err := parse(data, contentType)
	if err != nil {
		return nil, knowledge.Rejectf("the page cannot be read as HTML: %v", err)
	}
	at, err := url.Parse(address)
	if err != nil {
		at = nil
	}
	e := &knowledge.Extracted{Metadata: map[string]any{}}
	parser := readability.NewParser()
	parser.MaxElemsToParse = maxElements
	article, err := parser.ParseDocument(doc, at)
	if err == nil {
		describe(e, article)
		if article.Node != nil {
			e.Blocks = blocksOf(article.Node)
		}
	}
	e.Tidy()
	if e.Size() < minArticle {
		whole := &knowledge.Extracted{Blocks: blocksOf(doc)}
		if whole.Tidy(); whole.Size() > 2*e.Size() {
			e.Blocks, e.Metadata["whole_page"] = whole.Blocks, true
		}
	}
	if len(e.Blocks) == 0 {
		return nil, knowledge.Rejectf("the page has no text: it may need JavaScript, or a login")
	}
	if e.Title == "" {
		e.Title = knowledge.Line(titleElement(doc), 300)
	}
	if e.Title == "" {
		e.Title = titleOf("", e.Blocks)
	}
	return e, nil
}

// parse reads a page in the encoding that it or its server names, else in the one that its bytes are
// likely to be in.
func parse(data []byte, contentType string) (*html.Node, error) {
	head := data[:min(len(data), 1024)] // as charset looks at
	if _, _, named := charset.DetermineEncoding(head, contentType); !named && !utf8.Valid(data) {
		text, err := decode(data)
		if err != nil {
			return nil, err
		}
		return html.Parse(strings.NewReader(text))
	}
	reader, err := charset.NewReader(bytes.NewReader(data), contentType)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	return html.Parse(bytes.NewReader(bytes.ToValidUTF8(text, []byte("\uFFFD"))))
}

// describe takes what the page says about itself.
func describe(e *knowledge.Extracted, article readability.Article) {
	e.Title, e.Author = article.Title(), article.Byline()
	if at, err := article.PublishedTime(); err == nil && at.Year() > 1900 && at.Year() < 2200 {
		at = at.UTC()
		e.PublishedAt = &at
	}
	for key, value := range map[string]string{
		"site": article.SiteName(), "language": article.Language(), "excerpt": article.Excerpt(),
	} {
		if value = knowledge.Line(value, 500); value != "" {
			e.Metadata[key] = value
		}
	}
}

// LooksLikeHTML reports whether the beginning of data has an element that pages have.
func LooksLikeHTML(data []byte) bool {
	head := data[:min(len(data), 64<<10)]
	if bytes.HasPrefix(head, []byte{0xFF, 0xFE}) || bytes.HasPrefix(head, []byte{0xFE, 0xFF}) {
		head = bytes.ReplaceAll(head, []byte{0}, nil) // UTF-16
	}
	head = bytes.ToLower(head)
	if bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<article", "<div", "<p>", "<p ", "<title"} {
		if bytes.Contains(head, []byte(tag)) {
			return true
		}
	}
	return false
}

func titleElement(doc *html.Node) string {
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Title && n.FirstChild != nil && n.FirstChild.Type == html.TextNode {
			return n.FirstChild.Data
		}
	}
	return ""
}

// walker makes blocks of a tree. The parser bounds the tree's depth, so the recursion is bounded.
type walker struct {
	blocks  []knowledge.Block
	text    strings.Builder
	next    knowledge.Break
	heading string
	pre     int
}

func blocksOf(root *html.Node) []knowledge.Block {
	w := &walker{next: knowledge.BreakParagraph}
	w.walk(root)
	w.flush()
	return w.blocks
}

func (w *walker) walk(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.add(n.Data)
		return
	case html.ElementNode:
	default:
		w.children(n)
		return
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Head, atom.Svg, atom.Iframe, atom.Nav,
		atom.Form, atom.Button, atom.Select, atom.Textarea, atom.Object, atom.Canvas, atom.Math:
	case atom.Br:
		w.text.WriteByte('\n')
	case atom.Hr:
		w.flush()
		w.next = max(w.next, knowledge.BreakParagraph)
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.flush()
		w.children(n)
		w.heading = knowledge.Line(w.text.String(), 200)
		w.next = knowledge.BreakSection
		w.flush()
	case atom.Pre:
		w.flush()
		w.pre++
		w.children(n)
		w.flushText(strings.Trim(w.text.String(), "\n"))
		w.pre--
	case atom.Td, atom.Th:
		if strings.TrimSpace(w.text.String()) != "" {
			w.text.WriteString(" | ")
		}
		w.children(n)
	case atom.Li, atom.Dt, atom.Dd, atom.Tr:
		w.flush()
		w.children(n)
		w.flush()
		w.next = knowledge.BreakLine
	case atom.P, atom.Div, atom.Section, atom.Article, atom.Blockquote, atom.Ul, atom.Ol, atom.Dl, atom.Table,
		atom.Figure, atom.Figcaption, atom.Header, atom.Footer, atom.Main, atom.Aside, atom.Details, atom.Summary, atom.Address, atom.Body:
		w.flush()
		w.next = max(w.next, knowledge.BreakParagraph)
		w.children(n)
		w.flush()
		w.next = knowledge.BreakParagraph
	default:
		w.children(n)
	}
}

func (w *walker) children(n *html.Node) {
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		w.walk(child)
	}
}

// add takes running text, in which all white space is one space except in <pre>.
func (w *walker) add(text string) {
	if w.pre > 0 {
		w.text.WriteString(text)
		return
	}
	if text != "" && isSpace(text[0]) && w.text.Len() > 0 {
		w.text.WriteByte(' ')
	}
	for i, word := range strings.Fields(text) {
		if i > 0 {
			w.text.WriteByte(' ')
		}
		w.text.WriteString(word)
	}
	if text != "" && isSpace(text[len(text)-1]) && strings.TrimSpace(text) != "" {
		w.text.WriteByte(' ')
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f' }

// flush ends a block of running text.
func (w *walker) flush() {
	if w.pre > 0 {
		return
	}
	lines := strings.Split(w.text.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	w.flushText(strings.TrimSpace(strings.Join(lines, "\n")))
}

func (w *walker) flushText(text string) {
	w.text.Reset()
	if text == "" {
		return
	}
	w.blocks = append(w.blocks, knowledge.Block{Text: text, Break: w.next, Position: knowledge.Position{Heading: w.heading}})
	w.next = knowledge.BreakLine
	if w.pre > 0 {
		w.next = knowledge.BreakParagraph
	}
}
