package console

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// The memory of results never holds more bytes than it may, whatever is put in, and loses what was used longest ago.
func TestMemoryOfResultsIsBounded(t *testing.T) {
	m := newMemory(1000)
	for i := range 100 {
		m.keep(strconv.Itoa(i), i, 10*(i%25)+1)
		require.LessOrEqual(t, m.bytes, 1000)
		require.Equal(t, len(m.entries), m.used.Len())
	}
	m = newMemory(1000)
	for _, key := range []string{"a", "b", "c", "d"} {
		m.keep(key, key, 250)
	}
	_, ok := recall[string](m, "a")
	require.True(t, ok)
	m.keep("e", "e", 250)
	_, ok = recall[string](m, "b")
	require.False(t, ok, "what was used longest ago goes first")
	for _, key := range []string{"a", "c", "d", "e"} {
		value, ok := recall[string](m, key)
		require.True(t, ok)
		require.Equal(t, key, value)
	}
	m.keep("e", "again", 100)
	require.Equal(t, 850, m.bytes, "what is put in place of something counts once")
	m.keep("large", "large", 501)
	_, ok = recall[string](m, "large")
	require.False(t, ok, "what would push most of the rest out is not kept")
	_, ok = recall[int](m, "a")
	require.False(t, ok, "of another type")
}

// Bars that a result holds are not let go of while it is kept, so they count: once for all results of one dataset.
func TestMemoryOfResultsCountsTheirBars(t *testing.T) {
	bars := func(n int) *backtest.Bars { return &backtest.Bars{Time: make([]int64, n), Close: make([]float64, n)} }
	m := newMemory(20_000)
	one := bars(100) // 4,800 bytes
	m.keepWith("a", "a", 1000, one)
	m.keepWith("b", "b", 1000, one)
	require.Equal(t, 6800, m.bytes)
	for i := range 200 {
		m.keepWith(strconv.Itoa(i), i, 100, bars(100))
		require.LessOrEqual(t, m.bytes, 20_000)
	}
	require.Len(t, m.entries, 4)
	require.Len(t, m.bars, 4)
	large := bars(1000)
	m.keepWith("large", "large", 1000, large)
	require.Len(t, m.entries, 1, "what was made last stays, alone")
	m.keepWith("large", "again", 1000, large)
	require.Equal(t, 49_000, m.bytes)
	m.keep("small", "small", 10)
	require.Equal(t, 10, m.bytes)
	require.Empty(t, m.bars)
}

// A fold runs again when its walk-forward does: what was made of its trials before is not shown of those after.
func TestWhatWasMadeOfATuneIsOfOneCompletion(t *testing.T) {
	first, second := time.Unix(1, 0), time.Unix(1, 1000)
	keys := func(completed *time.Time) []string {
		parts := tuneParts{stored: &StoredTune{}, data: &tuneData{}}
		parts.data.Tune.CompletedAt = completed
		return []string{parts.drawnKey(), parts.listedKey(), parts.nearestKey(), keyOfTune(uuid.Nil, "x", completed)}
	}
	require.Equal(t, keys(&first), keys(new(first)))
	for i, key := range keys(&second) {
		require.NotEqual(t, keys(&first)[i], key)
	}
}
