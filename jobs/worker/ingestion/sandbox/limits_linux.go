package sandbox

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"millrace/ops/routine"
)

// confine limits this process for good: its private writable memory, open files, and no core dumps. The
// limit is on data and not on address space, of which the Go runtime reserves much that it never uses.
func confine(memory int64) error {
	for _, limit := range []struct {
		resource int
		most     uint64
	}{{syscall.RLIMIT_DATA, uint64(memory)}, {syscall.RLIMIT_NOFILE, 64}, {syscall.RLIMIT_CORE, 0}} {
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.most, Max: limit.most}); err != nil {
			return err
		}
	}
	return nil
}

// endAtCPULimit ends this process when the kernel says that its processor time is used up, which the Go
// runtime would ignore.
func endAtCPULimit() {
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGXCPU)
	routine.Go(func() error {
		<-over
		fmt.Fprintln(os.Stderr, "SIGXCPU")
		os.Exit(1)
		return nil
	}, func(error) {})
}

// limitCPU lets this process use so much more processor time; the kernel signals what is beyond.
func limitCPU(more time.Duration) error {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	spent := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CPU, &limit); err != nil {
		return err
	}
	limit.Cur = uint64((spent + more + time.Second) / time.Second)
	return syscall.Setrlimit(syscall.RLIMIT_CPU, &limit)
}
