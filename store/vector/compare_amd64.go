package vector

import "golang.org/x/sys/cpu"

// coarse is the sum, for each row of a tile, of its codes times the steps of the query.
func coarse(sums *[tileRows]int32, codes []int8, pairs []pair) {
	switch {
	case len(pairs) == 0:
		clear(sums[:])
	case cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI:
		_ = codes[pairs[len(pairs)-1].at:][:2*tileRows]
		coarseAVX512(sums, &codes[0], &pairs[0], len(pairs))
	case cpu.X86.HasAVX2:
		_ = codes[pairs[len(pairs)-1].at:][:2*tileRows]
		coarseAVX2(sums, &codes[0], &pairs[0], len(pairs))
	default:
		coarsePlain(sums, codes, pairs)
	}
}

//go:noescape
func coarseAVX2(sums *[tileRows]int32, codes *int8, pairs *pair, n int)

//go:noescape
func coarseAVX512(sums *[tileRows]int32, codes *int8, pairs *pair, n int)

// scores is the score of each of the rows, which have the dimensions of the query.
func (q *question) scores(rows *[together][]float32) (sums [together]float32) {
	n := len(q.query) &^ 3
	if n == 0 || len(q.used) < len(q.query) || !cpu.X86.HasAVX2 {
		q.scoresPlain(&sums, rows, q.used)
		return sums
	}
	var at [together]*float32
	for i, row := range rows {
		at[i] = &row[:len(q.query)][0]
	}
	scoresAVX2(&sums, &at, &q.query[0], n)
	q.scoresPlain(&sums, rows, q.used[n:])
	return sums
}

//go:noescape
func scoresAVX2(sums *[together]float32, rows *[together]*float32, query *float32, n int)
