package evidence

import (
	"runtime"
	"sync/atomic"

	"millrace/ops/routine"
)

// beside calls do with each number below n, on all processors: the tune has nothing else left to run. What do finds for one number
// has nothing to do with the others, so that the result does not depend on how many there are.
func beside(n int, do func(i int)) {
	var next atomic.Int64
	var group routine.Group
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Run(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		panic(err) // of do, as if it had been called here
	}
}
