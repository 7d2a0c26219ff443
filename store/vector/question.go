package vector

import "math"

// question is a query in both forms. The scalar product of the coarse forms of query and row, plus what both forms
// miss, is a bound of the score of a row:
//
//	q·x = q̂·x̂ + q̂·(x − x̂) + (q − q̂)·x ≤ q̂·x̂ + |q̂|·|x − x̂| + |q − q̂|·|x|
//
// Rows whose bound is below the worst of the leaders are not compared exactly. So the hits are those of comparing
// every row exactly, on every machine, and only the time depends on how near the codes are.
type question struct {
	query []float32
	used  []int32 // dimensions that are compared
	pairs []pair  // of those dimensions

	scale        float64 // of a step
	length       float64 // at least that of the coarse query
	miss         float64 // at least the length of query − scale·steps, and what rounding adds to a score, a unit of length
	least        float64 // what products below the smallest number lose
	incomparable bool    // the bound does not hold
}

// pair is two dimensions of the coarse query, and where a tile has their codes. Sums of whole numbers are exact.
type pair struct {
	at    int32
	steps [2]int16
}

// mostLength is that of a row or query whose products stay far from what single precision can hold.
const mostLength = 1 << 60

func newQuestion(query []float32) question {
	q := question{query: query, used: usedOf(query)}
	var most, square float64
	for _, x := range query {
		most = max(most, math.Abs(float64(x)))
		square += float64(float64(x) * float64(x))
	}
	// No sum of so many products of a code and a step is above 31 bits.
	steps := min(math.MaxInt16, math.MaxInt32/math.MaxInt8/max(1, len(query)))
	if !(square < mostLength*mostLength) || steps < 1 {
		q.incomparable = true
		return q
	}
	q.scale = most / float64(steps)
	var miss float64
	for _, d := range q.used {
		step := math.Round(float64(query[d]) / q.scale)
		if at := d / 2 * tileRows * 2; len(q.pairs) == 0 || q.pairs[len(q.pairs)-1].at != at {
			q.pairs = append(q.pairs, pair{at: at})
		}
		q.pairs[len(q.pairs)-1].steps[d%2] = int16(step)
		missed := float64(query[d]) - float64(q.scale*step)
		miss += float64(missed * missed)
	}
	// A score in single precision is off by at most 2^-24 of Σ|qᵢxᵢ| for each of its operations, which are two a
	// dimension. It is counted twice, which is more than double precision misses here and in bound.
	rounding := float64(2*2*len(q.used)) / (1 << 24)
	q.miss = math.Sqrt(miss) + float64(rounding*math.Sqrt(square))
	q.length = (math.Sqrt(square) + math.Sqrt(miss)) * (1 + 1e-9)
	q.least = float64(len(q.used)) * math.SmallestNonzeroFloat32
	return q
}

// usedOf are the dimensions of a query that are compared: all, or of one that is mostly zero those that are not. Zeros
// add nothing to a score, and skipping few of them does not pay.
func usedOf(query []float32) []int32 {
	var all, some []int32
	for d, x := range query {
		all = append(all, int32(d))
		if x != 0 {
			some = append(some, int32(d))
		}
	}
	if 2*len(some) < len(all) {
		return some
	}
	return all
}

// bound is at least the score of a row of those codes, or not a number.
func (q *question) bound(sum int32, f *fit) float64 {
	return float64(float64(sum)*q.scale)*float64(f.scale) + float64(q.length*float64(f.miss)) + float64(q.miss*float64(f.length)) + q.least
}

// score is the scalar product of the query and a row, in single precision from the first dimension to the last. Hits
// have it, and it has to be the same on every machine.
func (q *question) score(row []float32) float32 {
	var sum float32
	for _, d := range q.used {
		sum += float32(q.query[d] * row[d])
	}
	return sum
}

// together is how many rows have their scores computed side by side: each sum waits for itself.
const together = 8

// scoresPlain adds to the scores of several rows what those dimensions bring.
func (q *question) scoresPlain(sums *[together]float32, rows *[together][]float32, dimensions []int32) {
	n := len(q.query)
	a, b, c, d := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	e, f, g, h := rows[4][:n], rows[5][:n], rows[6][:n], rows[7][:n]
	s := *sums
	for _, i := range dimensions {
		x := q.query[:n][i]
		s[0] += float32(x * a[i])
		s[1] += float32(x * b[i])
		s[2] += float32(x * c[i])
		s[3] += float32(x * d[i])
		s[4] += float32(x * e[i])
		s[5] += float32(x * f[i])
		s[6] += float32(x * g[i])
		s[7] += float32(x * h[i])
	}
	*sums = s
}
