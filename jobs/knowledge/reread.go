package knowledge

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

const (
	// rereadLimit is how many of the best passages are read sentence by sentence, which is most of what a question costs. Of 50,
	// nDCG@10 would be higher by 0.007.
	rereadLimit = 30
	// sentencesShare is what a passage's best sentences count beside its score, the best of all being 1.
	sentencesShare = 0.5
	// gistShare is what counts beside these how near the passage is in what it is about.
	gistShare = 0.5
	// secondShare is what the second best of a passage counts beside its best.
	secondShare = 0.5
)

// reread orders the best of what was found by their sentences: a passage that has a question's words in one sentence is more
// likely to answer than one that has them here and there. With a lexicon it orders them by what they are about, too. Parts do
// both for vectors that carry meaning. It returns the passages that it read, and the order.
func (b *Base) reread(ctx context.Context, workspace uuid.UUID, question string, ranked []fused) (map[uuid.UUID]Passage, []fused, error) {
	first := min(rereadLimit, len(ranked))
	passages, err := b.passages(ctx, workspace, ranked[:first], nil)
	if err != nil || len(passages) == 0 {
		return passages, ranked, err
	}
	var from []Match
	var at []int
	for i, f := range ranked[:first] {
		if p, ok := passages[f.chunk]; ok {
			from, at = append(from, Match{Passage: p}), append(at, i)
		}
	}
	best, second := make([]float64, len(from)), make([]float64, len(from))
	for _, s := range weighed(question, from, b.lexicon) {
		if s.score > best[s.passage] {
			best[s.passage], second[s.passage] = s.score, best[s.passage]
		} else {
			second[s.passage] = max(second[s.passage], s.score)
		}
	}
	for i := range best {
		best[i] += float64(secondShare * second[i])
	}
	about, nearest := b.about(question, from)
	top := slices.Max(best)
	if top == 0 && about == nil {
		return passages, ranked, nil
	}
	order := slices.Clone(ranked)
	for i, score := range best {
		if top > 0 {
			order[at[i]].score += float64(sentencesShare * score / top)
		}
		if about != nil {
			order[at[i]].score += float64(gistShare * about[i])
			order[at[i]].about = &nearest[i]
		}
	}
	whole := 1 + sentencesShare
	if about != nil {
		whole += gistShare
	}
	for i := range order {
		order[i].score /= whole
	}
	slices.SortStableFunc(order, func(a, b fused) int { return cmp.Compare(b.score, a.score) })
	return passages, order, nil
}

// passages reads chunks that are not known yet. One without a row is left out.
func (b *Base) passages(ctx context.Context, workspace uuid.UUID, of []fused, known map[uuid.UUID]Passage) (map[uuid.UUID]Passage, error) {
	byID := make(map[uuid.UUID]Passage, len(of))
	var ids []uuid.UUID
	for _, f := range of {
		if p, ok := known[f.chunk]; ok {
			byID[f.chunk] = p
		} else {
			ids = append(ids, f.chunk)
		}
	}
	if len(ids) == 0 {
		return byID, nil
	}
	found, err := b.texts.Passages(ctx, workspace, ids)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		byID[p.ID] = p
	}
	return byID, nil
}
