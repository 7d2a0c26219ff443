package knowledge

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

// refineLimit is how many of the best are compared part by part.
const refineLimit = 100

// refined is the vector leg after chunks were compared part by part.
type refined struct {
	near    []Hit
	parts   map[uuid.UUID][]float64 // the cosine of each part
	inParts bool                    // most of what was to be compared has parts
}

// refine compares the best of what the legs found with the question part by part, and returns the vector leg in the new
// order. What the words found is in the leg then, when it has parts; what has none keeps the similarity of its one vector.
func (b *Base) refine(ctx context.Context, workspace uuid.UUID, placement Placement, found legs, ranked []fused) (refined, error) {
	r := refined{near: found.near}
	if !placement.Model.InParts() || found.vector == nil || len(ranked) == 0 {
		return r, nil
	}
	ids := make([]uuid.UUID, min(refineLimit, len(ranked)))
	for i := range ids {
		ids[i] = ranked[i].chunk
	}
	parts, err := b.texts.ChunkParts(ctx, workspace, placement.Collection, ids)
	if err != nil {
		return r, err
	}
	question, hits := newAsked(found.vector), map[uuid.UUID]Hit{}
	for _, hit := range found.near {
		hits[hit.Chunk] = hit
	}
	r.parts = make(map[uuid.UUID][]float64, len(parts))
	for chunk, p := range parts {
		// What another version wrote in a form of its own is as if it were not there.
		if score, each, err := question.similarity(p); err == nil {
			hits[chunk] = Hit{Chunk: chunk, Document: hits[chunk].Document, Score: score}
			r.parts[chunk] = each
		}
	}
	r.near = make([]Hit, 0, len(hits))
	for _, hit := range hits {
		r.near = append(r.near, hit)
	}
	slices.SortFunc(r.near, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), slices.Compare(a.Chunk[:], b.Chunk[:]))
	})
	r.inParts = 2*len(r.parts) >= len(ids)
	return r, nil
}
