package knowledge

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"millrace/jobs/portable"
)

const (
	// usualWords is what an answer quotes when that is likely to hold the answer: a minute's reading. Where no sentence
	// stands out it continues to mostWords, a fifth of the passages. mostSentences bounds it where sentences are short.
	usualWords    = 300
	mostWords     = 500
	mostSentences = 50
	// enough is how likely what is quoted has the answer when no more is looked for.
	enough = 0.95
	// leastScore is the part of the best sentence's score that another needs.
	leastScore = 0.25
	// mostIntroduced and introducedWords bound what is quoted with a sentence that ends in a colon, because it follows.
	mostIntroduced  = 3
	introducedWords = 60
	// What a word of the question counts where it is not in the sentence but in the heading above it, in the passage's title, in
	// the sentence before, and elsewhere in the passage.
	headingShare   = 0.6
	titleShare     = 0.3
	beforeShare    = 0.4
	elsewhereShare = 0.1
	// laterShare is what each place further down the list takes from a passage's sentences.
	laterShare = 0.08
	// nearShare is what the nearness of the part that a sentence stands in counts beside its words.
	nearShare = 0.35
	// fewRows is how many rows a table has at most of which one is quoted that has only the words of the table's first: a question
	// may ask by these for all of them.
	fewRows = 10
	// figureShare is what a figure counts where the question asks for one.
	figureShare = 0.15
)

// sentence is a candidate for a quotation.
type sentence struct {
	passage, order int
	run            int // that it stands in, within the passage
	text, heading  string
	after, cut     bool // see quote
	code           bool
	words          int
	score          float64
	likely         float64 // that it answers, of 1 for all
}

// extract is an answer without an LLM: the sentences that have the most of the question's words or of words like them, and
// stand in the parts nearest to it where those were compared, each quoted as it stands and cited. A word counts the more the
// fewer sentences have it, and in part where the heading above has it: a sentence seldom repeats what its heading says.
func extract(question string, from []Match, known Lexicon) (string, []Citation) {
	return extractWithin(mostWords, question, from, known)
}

// extractWithin is an extract of that many words at most.
func extractWithin(most int, question string, from []Match, known Lexicon) (string, []Citation) {
	all := candidates(question, from, known)
	likely(question, from, all, known)
	all = chosen(all, most)
	if len(all) == 0 {
		return quoteFirst(from)
	}
	best := map[int]float64{} // of each passage; what likely answers comes first
	for _, s := range all {
		best[s.passage] = max(best[s.passage], s.likely)
	}
	slices.SortFunc(all, func(a, b sentence) int {
		return cmp.Or(cmp.Compare(best[b.passage], best[a.passage]), cmp.Compare(a.passage, b.passage), cmp.Compare(a.order, b.order))
	})
	var text strings.Builder
	var cited []Citation
	for i := 0; i < len(all); {
		s, quoted := all[i], all[i].text
		if s.after {
			quoted = "…" + quoted
		}
		// What follows in the text is one quotation.
		for i++; i < len(all) && all[i].follows(all[i-1]); i++ {
			quoted = joinedText(quoted, all[i].text)
		}
		if all[i-1].cut {
			quoted += "…"
		}
		if len(cited) == 0 || cited[len(cited)-1].Passage.ID != from[s.passage].ID {
			cited = append(cited, Citation{Mark: len(cited) + 1, Passage: from[s.passage].Passage})
		}
		if !s.code {
			quoted = from[s.passage].unmark(quoted)
		}
		fmt.Fprintf(&text, "“%s” [%d]\n", quoted, len(cited))
	}
	return strings.TrimSpace(text.String()), cited
}

// joinedText is a text with what follows it: between letters or stops of scripts without spaces there is none.
func joinedText(text, next string) string {
	last, _ := utf8.DecodeLastRuneInString(text)
	first, _ := utf8.DecodeRuneInString(next)
	if adjoins(last) && adjoins(first) {
		return text + next
	}
	return text + " " + next
}

func adjoins(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || strings.ContainsRune("。、！？，；：「」『』（）", r)
}

// follows reports whether a sentence stands behind another in the same run of text.
func (s sentence) follows(other sentence) bool {
	return s.passage == other.passage && s.run == other.run && s.order == other.order+1
}

// candidates are the sentences of the passages with their scores, 0 of those that say nothing of the question. Those of the first
// passages count more.
func candidates(question string, from []Match, known Lexicon) []sentence {
	all := weighed(question, from, known)
	for i := range all {
		all[i].score /= 1 + float64(laterShare*float64(all[i].passage))
	}
	return all
}

// weighed are the sentences of the passages with their scores, wherever the passages stand: 0 of those that say nothing of the
// question. Rows of a table that it does not name are left out.
func weighed(question string, from []Match, known Lexicon) []sentence {
	like := newLikeness(known, question)
	all := readings(from, like)
	weights, total := rarities(len(like.asked), all)
	low, span := spreadOfParts(from)
	figure := asksFigure.MatchString(question)
	var scored []sentence
	tables := named(all, like.asked, weights)
	for _, r := range all {
		score, own := r.weigh(like.asked, weights)
		if r.compared {
			r.near = (r.near - low) / span
		}
		if r.rows > 0 && !own && (r.rows > fewRows || tables[r.table()]) {
			continue // the rows of a table all stand under the same words
		}
		if score == 0 && r.near == 0 {
			scored = append(scored, r.sentence)
			continue
		}
		if total > 0 {
			score /= total
		}
		// What is short says it to the point, but not the shortest.
		score /= 1 + float64(0.015*float64(len(r.stems)))
		score += float64(nearShare * r.near)
		if figure && hasFigure.MatchString(r.text) {
			score += figureShare
		}
		r.score = score
		scored = append(scored, r.sentence)
	}
	return scored
}

// table is the table of a passage that begins with a row.
type table struct {
	passage int
	head    string
}

func (r reading) table() table { return table{r.passage, r.head} }

// named are the tables of which a question names a row.
func named(all []reading, asked []string, weights []float64) map[table]bool {
	tables := map[table]bool{}
	for _, r := range all {
		if r.rows > 0 && r.head != "" {
			if _, own := r.weigh(asked, weights); own {
				tables[r.table()] = true
			}
		}
	}
	return tables
}

// Questions that ask for a figure, and sentences that have one. In other languages they are not known.
var (
	asksFigure = regexp.MustCompile(`(?i)\bhow (many|much|big|long|far|often|large|small|old|high|low|fast|deep|wide|short)\b|` +
		`\b(at|to|by|of|in) (what|which) (price|size|level|percent|rate|ratio|number|share|time)\b|\bwhat (percent|percentage|share|number|size|fraction|proportion)\b`)
	hasFigure = regexp.MustCompile(`(?i)[0-9]|\b(one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred|thousand|half|once|twice|third|quarter|percent)\b`)
)

// reading is a sentence with the words that it has and that stand around it.
type reading struct {
	sentence
	stems    wordSet
	own      []float64 // what it has of each asked word, see likeness
	around   *around
	before   wordSet
	rows     int    // of the table that it is a row of
	head     string // the table's first row, "" of that itself
	compared bool   // with the question, by vectors
	near     float64
}

// around is what a sentence shares with others of its passage.
type around struct{ heading, title, passage wordSet }

// readings are all sentences of the passages, in order.
func readings(from []Match, like *likeness) []reading {
	var all []reading
	for i, m := range from {
		cut := quotes(m.Text)
		near := nearness(m.Text, cut, m.Parts)
		title, passage := newWordSet(m.Title), wordSet{}
		above, stems := map[string]*around{}, map[string]wordSet{}
		for order, q := range cut {
			heading := cmp.Or(q.heading, m.Position.Heading)
			if above[heading] == nil {
				above[heading] = &around{newWordSet(heading), title, passage}
			}
			r := reading{
				sentence: sentence{passage: i, order: order, run: q.run, text: q.text, heading: q.heading, after: q.after, cut: q.cut, code: q.code, words: len(wordStarts(q.text))}, rows: q.rows, head: q.before,
				stems: wordSet{}, own: make([]float64, len(like.asked)), around: above[heading], before: stems[q.before],
			}
			for word, pair := range spellings(q.text) {
				w := like.read(word, pair)
				if w.stem == "" {
					continue
				}
				r.stems[w.stem], passage[w.stem] = true, true
				for a, has := range w.near {
					r.own[a] = max(r.own[a], has)
				}
			}
			stems[q.text] = r.stems
			if near != nil {
				r.compared, r.near = true, near[order]
			}
			all = append(all, r)
		}
	}
	return all
}

// weigh is what the words of a question count in a sentence, and whether it has one itself.
func (r reading) weigh(asked []string, weights []float64) (score float64, own bool) {
	above := false
	for i, word := range asked {
		share := 0.0
		switch {
		case r.around.heading[word]:
			share, above = headingShare, true
		case r.around.title[word]:
			share, above = titleShare, true
		case r.before[word]:
			share = beforeShare
		case r.around.passage[word]:
			share = elsewhereShare
		}
		if r.own[i] > share {
			share, own = r.own[i], own || r.rows == 0 || r.names(word)
		}
		score += float64(share * weights[i])
	}
	if !own && !above && !r.compared && (r.rows == 0 || r.rows > fewRows) {
		return 0, false // its neighbours alone say nothing of it, but the head of its table does
	}
	return score, own
}

// names reports whether a word is in a sentence by its letters. Rows of a table differ by names, and those are alike
// in meaning: one of Gamma says nothing of Beta.
func (r reading) names(asked string) bool {
	for stem := range r.stems {
		if stem == asked || akin(stem, asked) {
			return true
		}
	}
	return false
}

// rarities are what the words of a question count: the more the fewer sentences have them. total is their sum.
func rarities(asked int, all []reading) (weights []float64, total float64) {
	weights = make([]float64, asked)
	for i := range weights {
		holders := 0.0
		for _, r := range all {
			if r.own[i] == 1 {
				holders++
			}
		}
		weights[i] = portable.Log(1 + (float64(len(all))+0.5)/(holders+0.5))
		total += weights[i]
	}
	return weights, total
}

// spreadOfParts is the lowest cosine of the passages' parts, and how far the highest is above it.
func spreadOfParts(from []Match) (low, span float64) {
	low, high := 1.0, -1.0
	for _, m := range from {
		for _, c := range m.Parts {
			low, high = min(low, c), max(high, c)
		}
	}
	if high <= low {
		return low - 1, 1 // one part, or all alike: each has 1
	}
	return low, high - low
}

// quoteFirst quotes the beginning of the best passage: its meaning fits, though none of the words.
func quoteFirst(from []Match) (string, []Citation) {
	if len(from) == 0 {
		return nothingFound, []Citation{}
	}
	cut := quotes(from[0].Text)
	if len(cut) == 0 {
		return nothingFound, []Citation{}
	}
	first := cut[0].text
	if cut[0].cut {
		first += "…"
	}
	if !cut[0].code {
		first = from[0].unmark(first)
	}
	return fmt.Sprintf("“%s” [1]", first), []Citation{{Mark: 1, Passage: from[0].Passage}}
}
