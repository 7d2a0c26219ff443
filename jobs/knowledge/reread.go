package knowledge

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

const (
	// rereadLimit is how many of the best passages are read sentence by sentence, which is most of what a question costs. Of 50,
	// nDCG@10 would be higher by 0.007. With vectors that carry meaning more than meantLimit bring nothing.
	rereadLimit = 30
	meantLimit  = 20
	// sentencesShare is what a passage's best sentences count beside its score, the best of all being 1.
	sentencesShare = 1
	// gistShare is what counts beside these how near the passage is in what it is about. A model that was measured knows that
	// better, so that it counts meantGistShare beside one.
	gistShare      = 0.5
	meantGistShare = 0.2
	// secondShare is what the second best of a passage counts beside its best.
	secondShare = 0.3
)

// rereads reports whether passages of a model's ranking are read sentence by sentence. Models that carry meaning and were
// not measured are left alone.
func rereads(model Model) bool { return model.Lexical() || measured(model) }

// reread orders the best of what was found by their sentences: a passage that has a question's words in one sentence is more
// likely to answer than one that has them here and there. With a lexicon it orders them by what they are about, too. parts are
// the cosines of the passages' parts, which say what vectors that carry meaning know of their sentences. It returns the
// passages that it read, and the order.
func (b *Base) reread(ctx context.Context, workspace uuid.UUID, question string, model Model, ranked []fused, parts map[uuid.UUID][]float64) (map[uuid.UUID]Passage, []fused, error) {
	limit, gist := rereadLimit, gistShare
	if !model.Lexical() {
		limit, gist = meantLimit, meantGistShare
	}
	first := min(limit, len(ranked))
	passages, err := b.passages(ctx, workspace, ranked[:first], nil)
	if err != nil || len(passages) == 0 {
		return passages, ranked, err
	}
	var from []Match
	var at []int
	for i, f := range ranked[:first] {
		if p, ok := passages[f.chunk]; ok {
			from, at = append(from, Match{Passage: p, Parts: parts[f.chunk]}), append(at, i)
		}
	}
	best := b.bestSentences(question, from)
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
			order[at[i]].score += float64(gist * about[i])
			if model.Lexical() {
				order[at[i]].about = &nearest[i]
			}
		}
	}
	whole := 1.0 + sentencesShare
	if about != nil {
		whole += gist
	}
	for i := range order {
		order[i].score /= whole
	}
	slices.SortStableFunc(order, func(a, b fused) int { return cmp.Compare(b.score, a.score) })
	return passages, order, nil
}

// bestSentences is for each passage what its best sentence says of a question, and in part what its second best does.
func (b *Base) bestSentences(question string, from []Match) []float64 {
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
	return best
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
