package knowledge

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// mostSentence cuts what has no end of sentence, in bytes.
const mostSentence = 400

// quote is a part of a passage that can be quoted: a sentence, an item of a list, a row of a table, or
// a block of code, on one line.
type quote struct {
	text    string
	heading string // that it stands under within its passage; "" above the first
	before  string // the sentence before it in its paragraph; of a row of a table, the table's first
	row     bool   // of a table
	run     int    // of text that it stands in: a paragraph, an item, a row
}

// quotes cuts a passage's text into what can be quoted. Headings are not: they name a subject and say
// nothing of it.
func quotes(text string) []quote {
	var all []quote
	heading, run := "", 0
	paragraphs := strings.Split(text, "\n\n")
	for i, paragraph := range paragraphs {
		before, first := "", ""
		add := func(part string, row bool) {
			if part = shorten(strings.Join(strings.Fields(part), " ")); part == "" {
				return
			}
			q := quote{part, heading, before, row, run}
			if row {
				q.before, first = first, cmp.Or(first, part)
			}
			all, before = append(all, q), part
		}
		for _, b := range bodies(paragraph, i+1 < len(paragraphs)) {
			run++
			switch {
			case b.heading:
				heading, before = b.text, ""
			case b.row:
				add(b.text, true)
			case b.whole:
				for _, lines := range blocks(b.text) {
					add(lines, false)
				}
			default:
				for _, s := range sentences(strings.Join(strings.Fields(b.text), " ")) {
					add(s, false)
				}
			}
		}
	}
	return all
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

// shorten cuts a part that is too long at a word.
func shorten(part string) string {
	if len(part) <= mostSentence {
		return part
	}
	cut := runeStart(part, mostSentence)
	if space := strings.LastIndexByte(part[:cut], ' '); space > mostSentence/2 {
		cut = space
	}
	return strings.TrimSpace(part[:cut]) + "…"
}

// body is a run of lines of a paragraph that belong together.
type body struct {
	text    string
	heading bool
	whole   bool // is not cut into sentences
	row     bool // of a table
}

// bodies cuts a paragraph into headings, items of lists, rows of tables, code and running text. A line
// that stands alone, is short and ends no sentence is a heading when more follows.
func bodies(paragraph string, more bool) []body {
	lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
	if len(lines) == 1 && more && titled(lines[0]) {
		return []body{{text: strings.TrimSpace(lines[0]), heading: true}}
	}
	var all []body
	fenced := false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		fence := strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")
		last := len(all) - 1
		switch {
		case fence:
			fenced = !fenced
			if fenced {
				all = append(all, body{whole: true})
			}
		case fenced:
			all[last].text += "\n" + line
		case trimmed == "" || ruled(trimmed):
		case isHeading(trimmed):
			all = append(all, body{text: strings.TrimSpace(strings.Trim(trimmed, "#")), heading: true})
		case strings.HasPrefix(trimmed, "|") || tabular(lines, i):
			all = append(all, body{text: row(trimmed), whole: true, row: true})
		case listed(trimmed), last < 0, all[last].heading, all[last].whole:
			all = append(all, body{text: trimmed})
		default:
			all[last].text += "\n" + trimmed
		}
	}
	return all
}

func isHeading(line string) bool {
	rest := strings.TrimLeft(line, "#")
	return len(rest) < len(line) && strings.HasPrefix(rest, " ")
}

// titled reports whether a line alone looks like a heading.
func titled(line string) bool {
	line = strings.TrimSpace(line)
	if isHeading(line) {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	return line != "" && len(line) <= 80 && !listed(line) && !strings.HasPrefix(line, "|") && !strings.ContainsRune(".!?…:;,。！？", last)
}

// ruled reports whether a line only separates: of a table, or a rule.
func ruled(line string) bool { return strings.Trim(line, "|-:= *_") == "" }

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
