package bert

import "math"

// attend mixes the values of all tokens for each, head by head, by how its query fits their keys. Heads
// are shared out to the cores.
func (e *encoder) attend(mixed, q, k, v []float32, n int) {
	h, size := e.Hidden, e.Hidden/e.Heads
	root := float32(1 / math.Sqrt(float64(size)))
	none := make([]float32, max(n, size))
	share(e.Heads, func(head int) {
		at := head * size
		queries, keys, values := make([]float32, n*size), make([]float32, n*size), make([]float32, n*size)
		for i := range n {
			for d := range size {
				queries[i*size+d] = q[i*h+at+d] * root
				keys[i*size+d] = k[i*h+at+d]
				values[d*n+i] = v[i*h+at+d]
			}
		}
		weights, out := make([]float32, n*n), make([]float32, n*size)
		multiplyPanels(weights, queries, pack(keys, n, size), none, n, size, n)
		for i := range n {
			softmax(weights[i*n : (i+1)*n])
		}
		multiplyPanels(out, weights, pack(values, size, n), none, n, n, size)
		for i := range n {
			copy(mixed[i*h+at:i*h+at+size], out[i*size:(i+1)*size])
		}
	})
}

// softmax makes weights of scores: positive, 1 together.
func softmax(row []float32) {
	highest := row[0]
	for _, x := range row {
		highest = max(highest, x)
	}
	var total float32
	for i, x := range row {
		row[i] = float32(math.Exp(float64(x - highest)))
		total += row[i]
	}
	for i := range row {
		row[i] /= total
	}
}
