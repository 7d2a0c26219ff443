package knowledge

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// A search for vectors that found as many as it was to says nothing of those it did not find.
func TestVectorsAreMissingOnlyWhereAllWereFound(t *testing.T) {
	t.Parallel()
	hits := func(n int) []Hit {
		all := make([]Hit, n)
		for i := range all {
			all[i].Chunk = uuid.New()
		}
		return all
	}
	near := hits(5)
	worded := []WordHit{{Hit: near[0]}, {Hit: hits(1)[0]}, {Hit: hits(1)[0]}}
	for limit, want := range map[int]bool{5: false, 6: true} {
		missing, err := (&Base{}).vectorsMissing(t.Context(), uuid.New(), legs{near: near, worded: worded}, Filter{}, limit)
		require.NoError(t, err)
		require.Equal(t, want, missing, "of %d", limit)
	}
}
