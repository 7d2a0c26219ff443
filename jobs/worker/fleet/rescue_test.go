package fleet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASilenceIsBelievedOnlyWhenTwoBeatsInARowSeeIt(t *testing.T) {
	var b belief
	require.False(t, b.confirms(true))
	require.True(t, b.confirms(true))
	require.False(t, b.confirms(true), "the next lost worker needs two looks of its own")
	require.False(t, b.confirms(false))
	require.False(t, b.confirms(true))
	b.restart()
	require.False(t, b.confirms(true), "a look from before the outage counts")
}
