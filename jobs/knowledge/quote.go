package knowledge

import (
	"cmp"
	"regexp"
	"strings"
	"unicode/utf8"
)

// mostSentence cuts what has no end of sentence, in bytes.
const mostSentence = 400

// quote is a part of a passage that can be quoted: a sentence, an item of a list, a row of a table, or
// a block of code, on one line.
type quote struct {
	text    string
	after   bool   // it begins within a sentence that was too long
	cut     bool   // it ends within one
	heading string // that it stands under within its passage; "" above the first
	// before is the sentence before it in its paragraph: of a row the table's first, of code the sentence that it belongs to, of
	// an item of a list the one that ends in a colon above the list.
	before string
	rows   int  // of the table that it is a row of; 0: of none
	code   bool // of a block of code
	run    int  // of text that it stands in: a paragraph, an item, a row
}

// cutting is a passage that is being cut into what can be quoted.
type cutting struct {
	all     []quote
	heading string
	run     int
	said    string // the last sentence, which code after it belongs to
	listing string // the same where it ends in a colon: items of a list after it belong to it
	literal int    // how far the text is indented that code set off by more belongs to; below 0: no code is to come
}

// quotes cuts a passage's text into what can be quoted. Headings are not: they name a subject and say
// nothing of it.
func quotes(text string) []quote {
	c, fenced := &cutting{literal: -1}, beginsFenced(text)
	paragraphs := strings.Split(text, "\n\n")
	for i, paragraph := range paragraphs {
		if c.literal >= 0 && !fenced && indent(paragraph) > c.literal {
			c.paragraph([]body{{text: strings.Trim(paragraph, "\n"), whole: true}})
			continue
		}
		var found []body
		found, fenced = bodies(paragraph, i+1 < len(paragraphs), fenced)
		c.literal = introduced(paragraph)
		c.paragraph(found)
	}
	return c.all
}

// paragraph adds what can be quoted of a paragraph.
func (c *cutting) paragraph(found []body) {
	rows, first, before := 0, "", ""
	for _, b := range found {
		if b.row {
			rows++
		}
	}
	for _, b := range found {
		c.run++
		switch {
		case b.heading:
			c.heading, c.said, c.listing, before = b.text, "", "", ""
		case b.row:
			row := c.add(quote{before: first, rows: rows}, b.text)
			first = cmp.Or(first, row)
		case b.whole:
			before = cmp.Or(before, c.said)
			for _, lines := range blocks(b.text) {
				before = c.add(quote{before: before, code: true}, lines)
			}
		default:
			item := listed(b.text)
			if item {
				before = cmp.Or(c.listing, before)
			}
			last := ""
			for _, s := range sentences(strings.Join(strings.Fields(b.text), " ")) {
				last = c.add(quote{before: before}, s)
				before, c.said = last, last
			}
			if !item {
				c.listing = ""
				if strings.HasSuffix(last, ":") {
					c.listing = last
				}
			}
		}
	}
}

// add adds a part of text as quotes that are short enough, and returns the last.
func (c *cutting) add(q quote, part string) string {
	parts := shortened(strings.Join(strings.Fields(part), " "))
	for i, text := range parts {
		q.text, q.after, q.cut, q.heading, q.run = text, i > 0, i+1 < len(parts), c.heading, c.run
		c.all = append(c.all, q)
		if q.rows == 0 {
			q.before = text
		}
	}
	if len(parts) == 0 {
		return q.before
	}
	return parts[len(parts)-1]
}

// indent is how far the line of a paragraph is indented that is indented least.
func indent(paragraph string) int {
	least := -1
	for line := range strings.SplitSeq(paragraph, "\n") {
		if text := strings.TrimLeft(line, " \t"); text != "" && (least < 0 || len(line)-len(text) < least) {
			least = len(line) - len(text)
		}
	}
	return least
}

// introduced is how far a paragraph is indented after which reStructuredText expects code, which is indented more: after two
// colons, or a directive. It is below 0 of others.
func introduced(paragraph string) int {
	lines := strings.Split(strings.TrimRight(paragraph, "\n "), "\n")
	last := len(lines) - 1
	for last > 0 && options(lines, last) {
		last--
	}
	line := strings.TrimSpace(lines[last])
	if codeDirective.MatchString(line) || strings.HasSuffix(line, "::") && !strings.HasPrefix(line, "..") {
		return indent(paragraph)
	}
	return -1
}

// blocks cuts code into runs of lines that are no longer than a quotation.
func blocks(code string) []string {
	var all []string
	for line := range strings.SplitSeq(code, "\n") {
		last := len(all) - 1
		if last < 0 || len(all[last])+1+len(line) > mostSentence {
			all = append(all, line)
			continue
		}
		all[last] += "\n" + line
	}
	return all
}

// shortened cuts what is too long at words: transcripts have no sentences, and other scripts end theirs otherwise.
func shortened(part string) []string {
	var all []string
	for len(part) > mostSentence {
		cut := runeStart(part, mostSentence)
		if space := strings.LastIndexByte(part[:cut], ' '); space > mostSentence/2 {
			cut = space
		}
		all, part = append(all, strings.TrimSpace(part[:cut])), strings.TrimSpace(part[cut:])
	}
	if part != "" {
		all = append(all, part)
	}
	return all
}

// fence reports whether a line begins or ends code.
func fence(line string) bool {
	rest, backticks := strings.CutPrefix(line, "```")
	return backticks && !strings.Contains(rest, "`") || strings.HasPrefix(line, "~~~")
}

// beginsFenced reports whether a passage begins within code: the first fence of an odd number names no language.
func beginsFenced(text string) bool {
	fences, bare := 0, false
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "```") && fence(line) {
			if fences++; fences == 1 {
				bare = line == "```"
			}
		}
	}
	return bare && fences%2 == 1
}

// body is a run of lines of a paragraph that belong together.
type body struct {
	text    string
	heading bool
	whole   bool // is not cut into sentences
	row     bool // of a table
}

// bodies cuts a paragraph into headings, items of lists, rows of tables, code and running text. A line
// that stands alone, is short and ends no sentence is a heading when more follows. Code may begin in a paragraph before,
// and continue in the next; what tildes begin ends with its paragraph, as they also underline.
func bodies(paragraph string, more, fenced bool) (all []body, open bool) {
	lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
	if len(lines) == 1 && more && !fenced && titled(lines[0]) {
		return []body{{text: strings.TrimSpace(lines[0]), heading: true}}, false
	}
	if open = fenced; fenced {
		all = append(all, body{whole: true})
	}
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		last := len(all) - 1
		switch {
		case fence(trimmed):
			fenced, open = !fenced, !fenced && trimmed[0] == '`'
			if fenced {
				all = append(all, body{whole: true})
			}
		case fenced:
			all[last].text += "\n" + line
		case trimmed == "" || ruled(trimmed) || options(lines, i):
		case isHeading(trimmed):
			all = append(all, body{text: strings.TrimSpace(strings.Trim(trimmed, "#")), heading: true})
		case directive.MatchString(trimmed):
			if _, says, _ := strings.Cut(trimmed, "::"); admonition.MatchString(trimmed) && says != "" {
				all = append(all, body{text: strings.TrimSpace(says)})
			}
		case i+1 < len(lines) && underlines(strings.TrimSpace(lines[i+1]), trimmed):
			all = append(all, body{text: trimmed, heading: true})
		case strings.HasPrefix(trimmed, "|") || tabular(lines, i):
			all = append(all, body{text: row(trimmed), whole: true, row: true})
		case listed(trimmed), last < 0, all[last].heading, all[last].whole:
			all = append(all, body{text: trimmed})
		default:
			all[last].text += "\n" + trimmed
		}
	}
	return all, open
}

func isHeading(line string) bool {
	rest := strings.TrimLeft(line, "#")
	return len(rest) < len(line) && strings.HasPrefix(rest, " ")
}

// titled reports whether a line alone looks like a heading.
func titled(line string) bool {
	set := strings.TrimLeft(line, " \t") != line
	line = strings.TrimSpace(line)
	if isHeading(line) {
		return true
	}
	if set || strings.HasPrefix(line, "`") && strings.HasSuffix(line, "`") && strings.Contains(line, " ") {
		return false // code, or the text of an item
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	return line != "" && len(line) <= 80 && !listed(line) && !strings.HasPrefix(line, "|") && !strings.ContainsRune(".!?…:;,。！？", last)
}

// ruled reports whether a line only separates: of a table, or a rule, of whatever sign.
func ruled(line string) bool {
	return strings.Trim(line, "|-:= *_") == "" || len(line) >= 3 && strings.ContainsRune(underlining, rune(line[0])) && strings.Trim(line, line[:1]) == ""
}

// underlining are the signs by which reStructuredText marks headings, beside those of other rules.
const underlining = "=-~^\"'`+#*:._"

// underlines reports whether a line marks the one above it as a heading: it is as long, and of one sign.
func underlines(line, above string) bool {
	return len(line) >= 3 && len(line) >= utf8.RuneCountInString(above) && len(above) <= 80 &&
		strings.ContainsRune(underlining, rune(line[0])) && strings.Trim(line, line[:1]) == ""
}

// Lines of reStructuredText that say how what follows is shown, and of those the ones that begin a remark.
var (
	directive     = regexp.MustCompile(`^\.\. [\w-]+::`)
	admonition    = regexp.MustCompile(`(?i)^\.\. (note|tip|hint|important|warning|caution|attention|danger|error|admonition|versionadded|versionchanged|deprecated)::`)
	codeDirective = regexp.MustCompile(`^\.\. (code|code-block|sourcecode|parsed-literal|prompt|highlight)::`)
	option        = regexp.MustCompile(`^:[\w-]+:`)
)

// options reports whether a line is an option of the directive above it.
func options(lines []string, i int) bool {
	for ; i > 0 && option.MatchString(strings.TrimSpace(lines[i])); i-- {
		if directive.MatchString(strings.TrimSpace(lines[i-1])) {
			return true
		}
	}
	return false
}

// tabular reports whether a line is a row of a table as it comes out of a page: its cells apart, beside a line of as many.
func tabular(lines []string, i int) bool {
	cells := strings.Count(lines[i], " | ")
	return cells > 0 && (i > 0 && strings.Count(lines[i-1], " | ") == cells || i+1 < len(lines) && strings.Count(lines[i+1], " | ") == cells)
}

// row is a row of a table with its cells apart.
func row(line string) string {
	var cells []string
	for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
		if cell = strings.TrimSpace(cell); cell != "" {
			cells = append(cells, cell)
		}
	}
	return strings.Join(cells, " | ")
}

// listed reports whether a line begins an item of a list.
func listed(line string) bool {
	if rest := strings.TrimLeft(line, "-*•–"); len(rest) < len(line) && strings.HasPrefix(rest, " ") {
		return true
	}
	digits := strings.TrimLeft(line, "0123456789")
	return len(digits) < len(line) && len(line)-len(digits) <= 3 && (strings.HasPrefix(digits, ". ") || strings.HasPrefix(digits, ") "))
}
