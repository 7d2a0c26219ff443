//go:build !amd64

package sweep

// compareSums are the trials, a bit each, whose s·|s| is less than low·q, and those whose s·|s| is not more than high·q;
// s and q are the sums of both sets of blocks.
func compareSums(lower, upper *tileSums, low, high float32) (under, notOver uint64) {
	return comparePlain(lower, upper, low, high)
}

// addSums adds the sums of two sets of blocks that have none in common.
func addSums(out, a, b *tileSums) { addPlain(out, a, b) }
