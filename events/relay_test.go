package events

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThePauseBetweenLooksGrowsWithWhatTheyFindAndTake(t *testing.T) {
	const quick = 300 * time.Microsecond
	for _, look := range []struct {
		lately int
		took   time.Duration
		pause  time.Duration
	}{
		{0, quick, 1 * time.Millisecond},
		{1, quick, 1 * time.Millisecond},
		{30, 8 * time.Millisecond, 1 * time.Millisecond}, // of 5,000 a second
		{175, quick, 4 * time.Millisecond},
		{175, 8 * time.Millisecond, 8 * time.Millisecond},
		{400, quick, 13 * time.Millisecond},
		{400, time.Second, 20 * time.Millisecond},
		{50_000, quick, 40 * time.Millisecond},
		{50_000, time.Second, 40 * time.Millisecond},
	} {
		require.Equal(t, look.pause, afterLook(look.lately, look.took), "%+v", look)
	}
}
