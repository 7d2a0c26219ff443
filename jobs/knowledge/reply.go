package knowledge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nothingFound is the answer when no passage fits.
const nothingFound = "Nothing in the knowledge base answers this question."

// reply is what an LLM's answer was read as.
type reply struct {
	text      string
	cited     []Citation
	claims    []Claim
	truncated bool
}

// readAnswer reads an LLM's answer to a question. One that cites nothing that it was shown rests on
// nothing, and is an error.
func readAnswer(done Completion, passages []Passage) (reply, error) {
	bare := strings.Trim(withoutReasoning(done.Text), ".`\"'*_ \n")
	if sentinel.MatchString(bare) && strings.TrimSpace(sentinel.ReplaceAllString(bare, "")) == "" {
		return reply{text: nothingFound, cited: []Citation{}}, nil
	}
	r, err := readReply(done, passages)
	if err != nil {
		return r, err
	}
	if len(r.cited) > 0 {
		return r, nil
	}
	if sentinel.MatchString(bare) {
		return reply{text: nothingFound, cited: []Citation{}}, nil // said, with words around it
	}
	return r, llmFault("the answer cites no passage that it was shown")
}

// readReply reads an LLM's words: without its reasoning, with marks of what it was shown only.
func readReply(done Completion, passages []Passage) (reply, error) {
	text := strings.TrimSpace(sentinel.ReplaceAllString(withoutReasoning(done.Text), ""))
	if text == "" {
		return reply{}, llmFault("the answer has reasoning and nothing else")
	}
	r := reply{truncated: done.Truncated}
	r.text, r.cited = readMarks(text, passages)
	if r.truncated {
		r.text = strings.TrimRight(r.text, " .,;:\n") + "…"
	}
	r.claims = claims(r.text, r.cited)
	return r, nil
}

func llmFault(message string) error {
	return &Fault{Kind: FaultProvider, Part: "llm", Err: errors.New(message)}
}

// sentinel is notFound as models write it, also with Markdown's escape.
var sentinel = regexp.MustCompile("(?i)[`*\"]*\\bNOT\\\\?_FOUND\\b[`*\"]*[.!]?")

var (
	reasoning    = regexp.MustCompile(`(?is)<(think|thinking|thought|reasoning|reflection|scratchpad)\b[^>]*>.*?</(think|thinking|thought|reasoning|reflection|scratchpad)\s*>`)
	reasoningEnd = regexp.MustCompile(`(?is)^.*</(think|thinking|thought|reasoning|reflection|scratchpad)\s*>`)
	// reasoningOpen has no end: the reply ended within it.
	reasoningOpen = regexp.MustCompile(`(?is)<(think|thinking|thought|reasoning|reflection|scratchpad)\b[^>]*>.*$`)
)

// withoutReasoning drops what a model thought before it answered. Some send the end of it only.
func withoutReasoning(text string) string {
	text = reasoning.ReplaceAllString(text, "")
	text = reasoningEnd.ReplaceAllString(text, "")
	return strings.TrimSpace(reasoningOpen.ReplaceAllString(text, ""))
}

var (
	// citationMark is anything in brackets that may be a mark, and code, in which there are none.
	citationMark = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|[\\[【][^\\[\\]【】\n]{1,60}[\\]】]")
	markPrefix   = regexp.MustCompile(`(?i)^(passages?|sources?|see|ref\.?|refs\.?)\s*:?\s*`)
	markSuffix   = regexp.MustCompile(`†.*$`)
	markPart     = regexp.MustCompile(`^\^?(\d{1,3})(?:\s*[-–—]\s*\^?(\d{1,3}))?$`)
)

// readMarks makes the marks of an LLM's answer those of its citations, numbered from 1 in their
// order. Marks of what it was not shown are dropped.
func readMarks(answer string, passages []Passage) (string, []Citation) {
	marks := map[int]int{} // of passages, to those of citations
	cited := []Citation{}
	text := citationMark.ReplaceAllStringFunc(answer, func(mark string) string {
		numbers, ok := markNumbers(mark)
		if !ok {
			return mark
		}
		var kept strings.Builder
		var written []int
		for _, n := range numbers {
			if n < 1 || n > len(passages) {
				continue // it was shown no such passage
			}
			if marks[n] == 0 {
				cited = append(cited, Citation{Mark: len(cited) + 1, Passage: passages[n-1]})
				marks[n] = len(cited)
			}
			if !slices.Contains(written, n) {
				written = append(written, n)
				fmt.Fprintf(&kept, "[%d]", marks[n])
			}
		}
		return kept.String()
	})
	return strings.TrimSpace(text), cited
}

// mostRange bounds what a mark such as [1-3] stands for.
const mostRange = 20

// markNumbers are the numbers that a mark names: [1], [1, 2], [1-3], [^1], 【1†source】, [passage 2].
func markNumbers(mark string) ([]int, bool) {
	if strings.HasPrefix(mark, "`") {
		return nil, false
	}
	inner := strings.TrimSpace(strings.Trim(mark, "[]【】"))
	inner = markSuffix.ReplaceAllString(markPrefix.ReplaceAllString(inner, ""), "")
	var numbers []int
	for part := range strings.FieldsFuncSeq(strings.ReplaceAll(inner, " and ", ","), func(r rune) bool { return r == ',' || r == ';' || r == '&' }) {
		found := markPart.FindStringSubmatch(strings.TrimSpace(markPrefix.ReplaceAllString(strings.TrimSpace(part), "")))
		if found == nil {
			return nil, false
		}
		first, _ := strconv.Atoi(found[1]) // three digits
		last := first
		if found[2] != "" {
			last, _ = strconv.Atoi(found[2])
		}
		for n := first; n <= min(last, first+mostRange); n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, len(numbers) > 0
}
