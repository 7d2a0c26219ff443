package console

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
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
