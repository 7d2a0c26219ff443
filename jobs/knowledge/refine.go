package knowledge

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

// refineLimit is how many of the best are compared part by part.
const refineLimit = 100

// refine compares the best of what the legs found with the question part by part, and returns the vector leg in the new
// order, and whether most of them have parts. What the words found is in the leg then, when it has parts; what has none
// keeps the similarity of its one vector.
func (b *Base) refine(ctx context.Context, workspace uuid.UUID, placement Placement, found legs, ranked []fused) (near []Hit, inParts bool, err error) {
	if !placement.Model.InParts() || found.vector == nil || len(ranked) == 0 {
		return found.near, false, nil
	}
	ids := make([]uuid.UUID, min(refineLimit, len(ranked)))
	for i := range ids {
		ids[i] = ranked[i].chunk
	}
	parts, err := b.texts.ChunkParts(ctx, workspace, placement.Collection, ids)
	if err != nil {
		return nil, false, err
	}
	question, hits, compared := newAsked(found.vector), map[uuid.UUID]Hit{}, 0
	for _, hit := range found.near {
		hits[hit.Chunk] = hit
	}
	for chunk, p := range parts {
		// What another version wrote in a form of its own is as if it were not there.
		if score, err := question.similarity(p); err == nil {
			hits[chunk] = Hit{Chunk: chunk, Document: hits[chunk].Document, Score: score}
			compared++
		}
	}
	near = make([]Hit, 0, len(hits))
	for _, hit := range hits {
		near = append(near, hit)
	}
	slices.SortFunc(near, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), slices.Compare(a.Chunk[:], b.Chunk[:]))
	})
	return near, 2*compared >= len(ids), nil
}
