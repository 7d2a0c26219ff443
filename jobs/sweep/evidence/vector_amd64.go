package evidence

import "golang.org/x/sys/cpu"

// sumLags is sumLagsPlain.
func sumLags(d []float64, lag int) (sums [lagsAtOnce]lagSums) {
	after := lag + lagsAtOnce // from there on all lags have a period before
	if !cpu.X86.HasAVX2 || after >= len(d) {
		return sumLagsPlain(d, lag)
	}
	var cross, late [lagsAtOnce]float64
	for i := range lagsAtOnce {
		for k := lag + i; k < after; k++ {
			cross[i^3] += float64(d[k] * d[k-lag-i])
			if k > lag+i {
				late[i^3] += float64(d[k] * d[k])
			}
		}
	}
	lagsAVX2(&d[after], len(d)-after, lag, &cross, &late)
	for i := range sums {
		sums[i] = lagSums{cross[i^3], late[i^3]}
	}
	return sums
}

// sum is sumPlain.
func (g runningGroup) sum(spans []span) (sums [groupRows]float64) {
	if !cpu.X86.HasAVX2 || len(spans) == 0 {
		return g.sumPlain(spans)
	}
	spansAVX2(&g[0], &spans[0], len(spans), &sums)
	return sums
}

// dots are the products of a row and of four others.
func dots(a []float64, b [4][]float64) (out [4]float64) {
	whole := len(a) &^ 3
	if !cpu.X86.HasAVX2 || whole == 0 {
		for i := range b {
			out[i] = dot(a, b[i])
		}
		return out
	}
	var sums [4][4]float64
	var at [4]*float64
	for i := range b {
		at[i] = &b[i][:len(a)][0]
	}
	dotsAVX2(&a[0], &at, whole, &sums)
	for i := range b {
		for t := whole; t < len(a); t++ {
			sums[i][0] += float64(a[t] * b[i][t])
		}
		out[i] = sums[i][0] + sums[i][1] + (sums[i][2] + sums[i][3])
	}
	return out
}

// lagsAVX2 adds n periods from d on, of lags from lag on.
//
//go:noescape
func lagsAVX2(d *float64, n, lag int, cross, late *[lagsAtOnce]float64)

//go:noescape
func spansAVX2(running *[groupRows]float64, spans *span, n int, sums *[groupRows]float64)

//go:noescape
func dotsAVX2(a *float64, b *[4]*float64, n int, sums *[4][4]float64)
