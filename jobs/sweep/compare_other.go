//go:build !amd64

package sweep

func peaks(t *tile, b *batch) { peaksPlain(t, b) }

func compare(t *tile, b *batch, both bool) { comparePlain(t, b, both) }

// addSums adds the sums of two sets of blocks that have none in common.
func addSums(out, a, b *columnSums) { addPlain(out, a, b) }
