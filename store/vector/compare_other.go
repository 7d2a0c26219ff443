//go:build !amd64

package vector

// coarse is the sum, for each row of a tile, of its codes times the steps of the query.
func coarse(sums *[tileRows]int32, codes []int8, pairs []pair) { coarsePlain(sums, codes, pairs) }

// scores is the score of each of the rows, which have the dimensions of the query.
func (q *question) scores(rows *[together][]float32) (sums [together]float32) {
	q.scoresPlain(&sums, rows, q.used)
	return sums
}
