package tune

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Shards are cut by what trials take of a processor, not by what else the machine does meanwhile.
func TestThePaceDoesNotCountTimeThatOthersHave(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, began := threadTime(), time.Now()
	<-time.After(50 * time.Millisecond)
	require.Less(t, threadTime()-before, time.Since(began)/2)
	before = threadTime()
	for sum := uint64(1); threadTime() == before; sum *= 3 {
		require.NotZero(t, sum)
	}
}
