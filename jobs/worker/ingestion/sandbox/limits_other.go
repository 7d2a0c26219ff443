//go:build !linux

package sandbox

import "time"

// confine is left to the Go runtime's own memory limit where the kernel's does not bind.
func confine(int64) error { return nil }

// endAtCPULimit has no signal to wait for.
func endAtCPULimit() {}

// limitCPU is left to the parent's limit on wall time.
func limitCPU(time.Duration) error { return nil }
