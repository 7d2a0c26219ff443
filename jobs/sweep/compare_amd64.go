package sweep

import "golang.org/x/sys/cpu"

// compareSums are the trials, a bit each, whose s·|s| is less than low·q, and those whose s·|s| is not more than high·q;
// s and q are the sums of both sets of blocks.
func compareSums(lower, upper *tileSums, low, high float64) (under, notOver uint64) {
	if !cpu.X86.HasAVX2 {
		return comparePlain(lower, upper, low, high)
	}
	return compareAVX2(lower, upper, low, high)
}

//go:noescape
func compareAVX2(lower, upper *tileSums, low, high float64) (under, notOver uint64)
