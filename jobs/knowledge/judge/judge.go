package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
)

// Depth is how many passages the order is judged by.
const Depth = 10

// answerDepth is how many passages an answer is made of, as by default.
const answerDepth = knowledge.DefaultTopK

// firstShown is how many of the best matches are kept, to show what came first instead.
const firstShown = 3

// Judged is one question with what was found for it.
type Judged struct {
	Case
	NDCG, WordsNDCG float64 // of the first ten, by the search as it is and by BM25 alone
	Recalled        bool    // the first ten have a passage that answers
	WordsRecalled   bool
	Within          bool    // so have the passages that the answer is made of
	Answered        bool    // the answer has the phrase
	Fit             float64 // of the best match
	Known           bool    // one of the two found a passage that answers, among its first fifty
	First           []knowledge.Match
}

// Run puts each question to the workspace's knowledge, without recording it.
func Run(ctx context.Context, base *knowledge.Base, workspace uuid.UUID, cases []Case) ([]Judged, error) {
	judged := make([]Judged, len(cases))
	for i, c := range cases {
		one, err := run(ctx, base, workspace, c)
		if err != nil {
			return nil, fmt.Errorf("question %d, %q: %w", i+1, c.Question, err)
		}
		judged[i] = one
	}
	return judged, nil
}

func run(ctx context.Context, base *knowledge.Base, workspace uuid.UUID, c Case) (Judged, error) {
	j := Judged{Case: c}
	both, err := base.Search(ctx, workspace, knowledge.Question{Text: c.Question, TopK: knowledge.MaxTopK})
	if err != nil {
		return j, err
	}
	asked := *both
	asked.Matches = both.Matches[:min(answerDepth, len(both.Matches))]
	j.Fit = asked.BestFit()
	if c.OffDomain {
		return j, nil
	}
	words, err := base.Search(ctx, workspace, knowledge.Question{Text: c.Question, TopK: knowledge.MaxTopK, WordsOnly: true})
	if err != nil {
		return j, err
	}
	// What answers is known as far as one of the two has found it.
	known := map[uuid.UUID]int{}
	for _, m := range append(append([]knowledge.Match{}, both.Matches...), words.Matches...) {
		if grade := c.grade(m.Passage); grade > 0 {
			known[m.ID] = grade
		}
	}
	j.Known = slices.Contains(slices.Collect(maps.Values(known)), answers)
	j.First = both.Matches[:min(firstShown, len(both.Matches))]
	j.NDCG, j.Recalled = order(both.Matches, known, Depth)
	j.WordsNDCG, j.WordsRecalled = order(words.Matches, known, Depth)
	_, j.Within = order(both.Matches, known, answerDepth)
	if c.Phrase != "" {
		answer, err := base.Answer(ctx, c.Question, &asked)
		if err != nil {
			return j, err
		}
		j.Answered = c.answered(answer.Text)
	}
	return j, nil
}
