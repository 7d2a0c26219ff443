package judge

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
)

// order is the normalised discounted cumulative gain of the first depth matches (Järvelin and Kekäläinen
// 2002; gains are 2^grade − 1, after Burges et al. 2005), and whether one of them answers at all.
func order(matches []knowledge.Match, grades map[uuid.UUID]int, depth int) (ndcg float64, found bool) {
	var gain, ideal float64
	for i, m := range matches[:min(depth, len(matches))] {
		gain += discounted(grades[m.ID], i)
		found = found || grades[m.ID] == answers
	}
	best := slices.SortedFunc(maps.Values(grades), func(a, b int) int { return cmp.Compare(b, a) })
	for i, grade := range best[:min(depth, len(best))] {
		ideal += discounted(grade, i)
	}
	if ideal == 0 {
		return 0, false
	}
	return gain / ideal, found
}

func discounted(grade, place int) float64 {
	return (math.Exp2(float64(grade)) - 1) / math.Log2(float64(place+2))
}

// Interval is a mean with its bootstrap interval of 95 %.
type Interval struct{ Mean, Low, High float64 }

const resamples = 10_000

// Bootstrap resamples the values: a percentile interval, with the same draws each time.
func Bootstrap(values []float64) Interval {
	if len(values) == 0 {
		return Interval{math.NaN(), math.NaN(), math.NaN()}
	}
	random := rand.New(rand.NewPCG(1, uint64(len(values))))
	means := make([]float64, resamples)
	for i := range means {
		for range values {
			means[i] += values[random.IntN(len(values))]
		}
		means[i] /= float64(len(values))
	}
	slices.Sort(means)
	return Interval{mean(values), means[resamples*25/1000], means[resamples*975/1000]}
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Point is what a threshold does: the share of questions on the subject at or above it, and of those
// off it.
type Point struct{ Threshold, True, False float64 }

// Curve is the receiver operating characteristic of a score, from the highest threshold down.
func Curve(on, off []float64) []Point {
	all := slices.Concat(on, off)
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	points := make([]Point, 0, len(all))
	for _, threshold := range slices.Compact(all) {
		points = append(points, Point{threshold, atLeast(on, threshold), atLeast(off, threshold)})
	}
	return points
}

func atLeast(scores []float64, threshold float64) float64 {
	n := 0
	for _, s := range scores {
		if s >= threshold {
			n++
		}
	}
	return float64(n) / float64(len(scores))
}

// Area is the probability that a question on the subject scores above one off it; ties count a half.
func Area(on, off []float64) float64 {
	var sum float64
	for _, a := range on {
		for _, b := range off {
			switch {
			case a > b:
				sum++
			case a == b:
				sum += 0.5
			}
		}
	}
	return sum / float64(len(on)*len(off))
}
