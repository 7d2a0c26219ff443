package console

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersOfEveryKindAreWritten(t *testing.T) {
	t.Parallel()
	many, none := int64(12345), (*int)(nil)
	for want, v := range map[string]any{"12\u202f345": many, "7": 7, "−1\u202f000": -1000.0, "–": none} {
		require.Equal(t, want, whole(v))
		require.Equal(t, want, number(v))
	}
	require.Equal(t, "12\u202f345", whole(&many))
}

func TestWhatIsRoundedToZeroHasNoSign(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0.0", monthText(-0.04))
	require.Equal(t, "−0.1", monthText(-0.06))
	require.Equal(t, "0.000", number(-0.0001))
	require.Equal(t, "0.0 %", percent(-0.01))
	require.Equal(t, "−12.3 %", percent(-12.34))
}
