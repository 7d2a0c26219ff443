package extract

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"millrace/jobs/knowledge"
)

// PDF is what an engine reads of a PDF file.
type PDF struct {
	Pages     []string   // text of each page, one line for a line of print
	Notes     [][]string // of each page: comments and filled fields, which are not part of its text; may be shorter than Pages
	Title     string
	Author    string
	CreatedAt *time.Time
	Damaged   []int // pages, from 1, that could not be read, or their notes
}

// hyphen is what PDFium makes of a hyphen that only breaks a word at a line's end; older ones say U+0002.
const hyphen = "\uFFFE"

// minPageText is the letters a page has on average, at the least, unless it is a scan.
const minPageText = 8

var errScanned = &knowledge.Rejection{
	Reason: "the PDF has no text: it looks scanned, so run text recognition (OCR) over it first", Textless: true,
}

var errUnmapped = &knowledge.Rejection{
	Reason: "the PDF's fonts do not say which letters their glyphs are: run text recognition (OCR) over it first", Textless: true,
}

// mapped reports whether a page's text is made of letters. Glyphs that a font does not map to Unicode come
// out as control characters, replacements or private code points.
func mapped(text string) bool {
	all, bad := 0, 0
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || strings.ContainsRune("\x02"+hyphen, r):
			continue
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Co, r):
			bad++
		}
		all++
	}
	return bad*5 <= all
}

// Pages makes paragraphs of the lines of print of a PDF's pages. Lines that stand at the top or bottom
// of most pages, page numbers aside, are running heads and are dropped. name is that of the file.
func Pages(pdf PDF, name string) (*knowledge.Extracted, error) {
	pages := make([][]string, len(pdf.Pages))
	letters := 0
	var unmapped []int
	for i, text := range pdf.Pages {
		if !mapped(text) {
			unmapped = append(unmapped, i+1)
			continue
		}
		text = strings.ReplaceAll(text, "\x02", hyphen)
		for line := range strings.SplitSeq(knowledge.Clean(text), "\n") {
			line = strings.TrimRight(line, " \t")
			letters += len(strings.TrimSpace(line))
			pages[i] = append(pages[i], line)
		}
	}
	if len(pages) == 0 {
		return nil, knowledge.Rejectf("the PDF has no pages")
	}
	if 2*len(unmapped) > len(pages) {
		return nil, errUnmapped
	}
	// Notes do not count: a scan that somebody remarked on is a scan.
	if letters < minPageText*len(pages) {
		return nil, errScanned
	}
	dropRunning(pages)
	e := &knowledge.Extracted{
		Title: pdf.Title, Author: pdf.Author, PublishedAt: pdf.CreatedAt, Metadata: map[string]any{"pages": len(pages)},
	}
	if len(pdf.Damaged) > 0 {
		e.Metadata["damaged_pages"] = pdf.Damaged
	}
	if len(unmapped) > 0 {
		e.Metadata["unmapped_pages"] = unmapped // left out
	}
	for i, lines := range pages {
		e.Blocks = append(e.Blocks, paragraphs(lines, i+1)...)
		if i < len(pdf.Notes) {
			e.Blocks = append(e.Blocks, remarks(pdf.Notes[i], i+1)...)
		}
	}
	e.Tidy()
	if len(e.Blocks) == 0 { // as of pages that hold broken hyphens only
		return nil, errScanned
	}
	if e.Title == "" || strings.HasPrefix(e.Title, "Microsoft Word - ") || isFileName(e.Title) {
		e.Title = titleOf(name, e.Blocks)
	}
	return e, nil
}

func isFileName(title string) bool {
	for _, ext := range []string{".doc", ".docx", ".tex", ".dvi", ".pdf", ".indd", ".ppt", ".pptx"} {
		if strings.HasSuffix(strings.ToLower(title), ext) {
			return true
		}
	}
	return false
}

// dropRunning drops the first and last lines that more than half of the pages share.
func dropRunning(pages [][]string) {
	const enough = 5
	if len(pages) < enough {
		return
	}
	for range 2 { // a running head may have two lines
		for _, last := range []bool{false, true} {
			seen := map[string]int{}
			for _, lines := range pages {
				if i := edge(lines, last); i >= 0 {
					seen[withoutNumbers(lines[i])]++
				}
			}
			for p, lines := range pages {
				if i := edge(lines, last); i >= 0 && seen[withoutNumbers(lines[i])] > len(pages)/2 {
					pages[p] = append(lines[:i:i], lines[i+1:]...)
				}
			}
		}
	}
}

// edge is the first or last line that is not empty, or -1.
func edge(lines []string, last bool) int {
	for n := range lines {
		i := n
		if last {
			i = len(lines) - 1 - n
		}
		if strings.TrimSpace(lines[i]) != "" {
			return i
		}
	}
	return -1
}

func withoutNumbers(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, line)
}

// paragraphs joins the lines of a page. A paragraph ends at an empty line, behind a line that ends a
// sentence well short of the page's width, and before a bullet or a heading's number.
func paragraphs(lines []string, page int) []knowledge.Block {
	width := widthOf(lines)
	var blocks []knowledge.Block
	var open strings.Builder
	next := knowledge.BreakSection
	flush := func() {
		if text := open.String(); strings.TrimSpace(text) != "" {
			blocks = append(blocks, knowledge.Block{Text: text, Break: next, Position: knowledge.Position{Page: page, PageEnd: page}})
			next = knowledge.BreakParagraph
		}
		open.Reset()
	}
	short, broken := false, false
	for _, line := range lines {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || short || startsItem(trimmed) {
			flush()
		}
		if trimmed == "" {
			short, broken = false, false
			continue
		}
		if open.Len() > 0 && !broken {
			open.WriteByte('\n')
		}
		line, broken = strings.CutSuffix(line, hyphen)
		open.WriteString(strings.ReplaceAll(line, hyphen, "-"))
		last, _ := utf8.DecodeLastRuneInString(trimmed)
		short = utf8.RuneCountInString(trimmed) < width*4/5 && strings.ContainsRune(".!?:。", last)
	}
	flush()
	return blocks
}

// remarks are the notes of a page, each a paragraph. Those whose letters are not mapped are left out, as pages are.
func remarks(notes []string, page int) []knowledge.Block {
	var blocks []knowledge.Block
	for _, note := range notes {
		if text := knowledge.Clean(note); strings.TrimSpace(text) != "" && mapped(note) {
			blocks = append(blocks, knowledge.Block{Text: text, Break: knowledge.BreakParagraph, Position: knowledge.Position{Page: page, PageEnd: page}})
		}
	}
	return blocks
}

// widthOf is the length of a full line: the ninth decile, roughly, as the longest may be odd.
func widthOf(lines []string) int {
	var counts [256]int
	total := 0
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 0 {
			counts[min(n, len(counts)-1)]++
			total++
		}
	}
	left := total / 10
	for n := len(counts) - 1; n > 0; n-- {
		if left -= counts[n]; left < 0 {
			return n
		}
	}
	return 0
}

func startsItem(line string) bool {
	r, size := utf8.DecodeRuneInString(line)
	return strings.ContainsRune("•▪◦‣–●○", r) && strings.HasPrefix(line[size:], " ")
}
