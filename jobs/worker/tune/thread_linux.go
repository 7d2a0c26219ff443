package tune

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is what the calling thread has used of the processors.
func threadTime() time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(used.Nano())
}
