package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWindowCoversTheSlotsAndWhatIsHeldAhead(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int]int{0: 3, 1: 3, 2: 4, 4: 6, 5: 8, 8: 11, 64: 81} {
		require.Equal(t, want, Window(slots), "%d slots", slots)
		require.Greater(t, Window(slots), max(slots, 1), "%d slots: the next shard is inserted too late", slots)
	}
}
