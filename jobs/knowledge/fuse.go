package knowledge

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

// What the vectors count beside the words, of 1 together. Vectors that carry meaning find what words
// miss; lexical ones add the order of words to what BM25 knows better.
// One vector for a whole chunk says less than its parts do, and counts less.
const (
	partsShare   = 0.6
	wholeShare   = 0.5
	lexicalShare = 0.15
)

func vectorShare(model Model, inParts bool) float64 {
	switch {
	case model.Lexical():
		return lexicalShare
	case inParts:
		return partsShare
	}
	return wholeShare
}

// fused is a chunk that either leg found.
type fused struct {
	chunk        uuid.UUID
	score        float64
	covered      float64
	familiar     *float64 // how common the question's words are, for all that was found the same; nil: not known
	vector, text *float64
	about        *float64 // cosine of what its nearest part and the question are about; nil: not read
}

// fuse ranks what the legs found by the weighted sum of their scores, each from 0 to 1: a leg's best
// has 1, and one that the leg did not find has 0. Scores say more than ranks (Bruch et al. 2023, "An
// analysis of fusion functions for hybrid retrieval"): where one leg has a clear winner and the other
// has none, the winner stays first.
func fuse(near []Hit, worded []WordHit, share float64) []fused {
	at := map[uuid.UUID]int{}
	var all []fused
	find := func(chunk uuid.UUID) *fused {
		i, ok := at[chunk]
		if !ok {
			i = len(all)
			at[chunk], all = i, append(all, fused{chunk: chunk})
		}
		return &all[i]
	}
	if len(worded) == 0 {
		share = 1
	}
	low, span := spread(near)
	for _, hit := range near {
		f := find(hit.Chunk)
		f.vector = &hit.Score
		f.score += share * (hit.Score - low) / span
	}
	for _, hit := range worded {
		f := find(hit.Chunk)
		f.text, f.covered = &hit.Score, hit.Covered
		f.score += (1 - share) * hit.Score / worded[0].Score
	}
	if len(worded) > 0 {
		for i := range all {
			all[i].familiar = worded[0].Familiar
		}
	}
	slices.SortFunc(all, func(a, b fused) int {
		return cmp.Or(cmp.Compare(b.score, a.score), slices.Compare(a.chunk[:], b.chunk[:]))
	})
	return all
}

// spread is the lowest score and how far the highest is above it. Similarities have no natural zero:
// those of two texts without relation lie far above it, for some models above a half.
func spread(hits []Hit) (low, span float64) {
	if len(hits) == 0 {
		return 0, 1
	}
	low = hits[len(hits)-1].Score
	span = hits[0].Score - low
	if span <= 0 {
		return low - 1, 1 // one hit, or all alike: each has 1
	}
	return low, span
}
