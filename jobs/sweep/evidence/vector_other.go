//go:build !amd64

package evidence

func sumLags(d []float64, lag int) [lagsAtOnce]lagSums { return sumLagsPlain(d, lag) }

func (g runningGroup) sum(spans []span) [groupRows]float64 { return g.sumPlain(spans) }

// dots are the products of a row and of four others.
func dots(a []float64, b [4][]float64) (out [4]float64) {
	for i := range b {
		out[i] = dot(a, b[i])
	}
	return out
}
