package sweep

import "golang.org/x/sys/cpu"

// peaks is peaksPlain of a batch that is not empty.
func peaks(t *tile, b *batch) {
	upper, lower, halves := &t.sums[1][0][b.upper], &t.sums[0][0][0], len(b.lowers)
	switch low := b.low[:halves]; {
	case cpu.X86.HasAVX512F:
		peaksAVX512(upper, lower, &b.lowers[0], halves, &low[0])
	case cpu.X86.HasAVX2:
		peaksAVX2(upper, lower, &b.lowers[0], halves, &low[0])
	default:
		peaksPlain(t, b)
	}
}

// compare is comparePlain of a batch that is not empty.
func compare(t *tile, b *batch, both bool) {
	upper, lower, halves := &t.sums[1][0][b.upper], &t.sums[0][0][0], len(b.lowers)
	low, high := b.low[:halves], b.high[:halves]
	switch {
	case cpu.X86.HasAVX512F && both:
		rankAVX512(upper, lower, &b.lowers[0], halves, &low[0], &high[0], &t.under[:halves][0], &t.within[:halves][0])
	case cpu.X86.HasAVX512F:
		underAVX512(upper, lower, &b.lowers[0], halves, &low[0], &t.under[:halves][0])
	case cpu.X86.HasAVX2 && both:
		rankAVX2(upper, lower, &b.lowers[0], halves, &low[0], &high[0], &t.under[:halves][0], &t.within[:halves][0])
	case cpu.X86.HasAVX2:
		underAVX2(upper, lower, &b.lowers[0], halves, &low[0], &t.under[:halves][0])
	default:
		comparePlain(t, b, both)
	}
}

// addSums adds the sums of two sets of blocks that have none in common.
func addSums(out, a, b *columnSums) {
	if !cpu.X86.HasAVX2 {
		addPlain(out, a, b)
		return
	}
	addAVX2(out, a, b)
}

//go:noescape
func addAVX2(out, a, b *columnSums)

// These go over all columns, from the first place of the lower blocks.

//go:noescape
func peaksAVX2(upper, lower *columnSums, lowers *uint32, halves int, low *float32)

//go:noescape
func peaksAVX512(upper, lower *columnSums, lowers *uint32, halves int, low *float32)

//go:noescape
func underAVX2(upper, lower *columnSums, lowers *uint32, halves int, low *float32, under *uint64)

//go:noescape
func underAVX512(upper, lower *columnSums, lowers *uint32, halves int, low *float32, under *uint64)

//go:noescape
func rankAVX2(upper, lower *columnSums, lowers *uint32, halves int, low, high *float32, under, within *uint64)

//go:noescape
func rankAVX512(upper, lower *columnSums, lowers *uint32, halves int, low, high *float32, under, within *uint64)
