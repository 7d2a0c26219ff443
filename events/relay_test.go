package events

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThePauseBetweenLooksGrowsWithWhatOneFindsAndTakes(t *testing.T) {
	const quick = 300 * time.Microsecond
	for _, look := range []struct {
		found int
		took  time.Duration
		pause time.Duration
	}{
		{0, quick, 2 * time.Millisecond},
		{1, quick, 2040 * time.Microsecond},
		{15, quick, 2600 * time.Microsecond}, // 5,000 a second: delivered as soon as before
		{100, quick, 6 * time.Millisecond},
		{100, 4 * time.Millisecond, 8 * time.Millisecond},
		{0, 3 * time.Millisecond, 6 * time.Millisecond},
		{512, quick, 10 * time.Millisecond},
		{50_000, time.Second, 10 * time.Millisecond},
	} {
		require.Equal(t, look.pause, afterLook(look.found, look.took), "%+v", look)
	}
}
