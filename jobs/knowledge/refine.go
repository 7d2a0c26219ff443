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
// order. What the words found is in it then, when it has parts; what has none keeps the similarity of its one
// vector.
func (b *Base) refine(ctx context.Context, workspace uuid.UUID, placement Placement, found legs, ranked []fused) ([]Hit, error) {
	if !placement.Model.InParts() || found.vector == nil || len(ranked) == 0 {
		return found.near, nil
	}
	ids := make([]uuid.UUID, min(refineLimit, len(ranked)))
	for i := range ids {
		ids[i] = ranked[i].chunk
	}
	parts, err := b.texts.ChunkParts(ctx, workspace, placement.Collection, ids)
	if err != nil {
		return nil, err
	}
	question, near := newAsked(found.vector), map[uuid.UUID]Hit{}
	for _, hit := range found.near {
		near[hit.Chunk] = hit
	}
	for chunk, p := range parts {
		// What another version wrote in a form of its own is as if it were not there.
		if score, err := question.similarity(p); err == nil {
			near[chunk] = Hit{Chunk: chunk, Document: near[chunk].Document, Score: score}
		}
	}
	refined := make([]Hit, 0, len(near))
	for _, hit := range near {
		refined = append(refined, hit)
	}
	slices.SortFunc(refined, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), slices.Compare(a.Chunk[:], b.Chunk[:]))
	})
	return refined, nil
}
