package sweep

import "golang.org/x/sys/cpu"

// compareSums are the trials, a bit each, whose s·|s| is less than low·q, and those whose s·|s| is not more than high·q;
// s and q are the sums of both sets of blocks.
func compareSums(lower, upper *tileSums, low, high float32) (under, notOver uint64) {
	switch {
	case cpu.X86.HasAVX512F:
		return compareAVX512(lower, upper, low, high)
	case cpu.X86.HasAVX2:
		return compareAVX2(lower, upper, low, high)
	}
	return comparePlain(lower, upper, low, high)
}

// addSums adds the sums of two sets of blocks that have none in common.
func addSums(out, a, b *tileSums) {
	if !cpu.X86.HasAVX2 {
		addPlain(out, a, b)
		return
	}
	addAVX2(out, a, b)
}

//go:noescape
func compareAVX2(lower, upper *tileSums, low, high float32) (under, notOver uint64)

//go:noescape
func addAVX2(out, a, b *tileSums)

//go:noescape
func compareAVX512(lower, upper *tileSums, low, high float32) (under, notOver uint64)
