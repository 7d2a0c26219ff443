package evidence

import (
	"fmt"
	"math"
	"slices"
)

// The shape of the cross-validation: of ten groups of periods two are held out at a time.
const (
	pathGroups = 10
	pathCount  = pathGroups - 1 // each group is held out with each other one
)

// Paths are the out-of-sample paths of combinatorial purged cross-validation.
type Paths struct {
	SR      [pathCount]float64 // per period, of each path
	Median  float64
	Worst   float64
	Loss    float64 // share of paths that lose
	Embargo int     // periods left out on both sides of what is held out
}

// CrossValidate chooses the trial with the highest Sharpe ratio on eight of ten groups of periods
// and follows it over the other two, for each of the 45 pairs. What was held out makes nine paths
// over all periods. embargo periods on both sides of a held-out group take no part in choosing: a
// trade or an average that reaches across the boundary would carry what is held out into the choice.
func CrossValidate(p *Panel, embargo int) (*Paths, error) {
	n := p.Periods()
	if len(p.Returns) < 2 {
		return nil, fmt.Errorf("fewer than two trials")
	}
	if least := pathGroups * (4 + 2*embargo); n < least {
		return nil, fmt.Errorf("%d return periods are fewer than %d: ten groups of four and an embargo of %d on both sides", n, least, embargo)
	}
	sums := runningSums(p, trainingBounds(n, embargo))
	result := &Paths{Embargo: embargo}
	var paths [pathCount][]float64
	for i := range paths {
		paths[i] = make([]float64, n)
	}
	var held [pathGroups]int // how often a group was held out so far: the path it goes to
	for a := range pathGroups {
		for b := a + 1; b < pathGroups; b++ {
			best := sums.choose(trainingSpans(n, a, b, embargo))
			for _, g := range [...]int{a, b} {
				from, to := groupBounds(n, g)
				copy(paths[held[g]][from:to], p.Returns[best][from:to])
				held[g]++
			}
		}
	}
	for i, path := range paths {
		ratio := Describe(path).SR()
		if math.IsNaN(ratio) {
			ratio = 0 // the chosen trials held nothing
		}
		result.SR[i] = ratio
		if ratio < 0 {
			result.Loss += 1.0 / pathCount
		}
	}
	result.Median, result.Worst = median(result.SR[:]), result.SR[0]
	for _, ratio := range result.SR {
		result.Worst = min(result.Worst, ratio)
	}
	return result, nil
}

func groupBounds(n, g int) (from, to int) { return n * g / pathGroups, n * (g + 1) / pathGroups }

// trainingSpans are the stretches of periods that are not held out, less the embargo beside those that are.
func trainingSpans(n, a, b, embargo int) (spans [][2]int) {
	from := 0
	for _, g := range [...]int{a, b, pathGroups} {
		start, end := n, n
		if g < pathGroups {
			start, end = groupBounds(n, g)
			start -= embargo
		}
		if start > from {
			spans = append(spans, [2]int{from, start})
		}
		from = end + embargo
	}
	return spans
}

// trainingBounds are where spans begin and end, in order.
func trainingBounds(n, embargo int) (bounds []int) {
	for a := range pathGroups {
		for b := a + 1; b < pathGroups; b++ {
			for _, s := range trainingSpans(n, a, b, embargo) {
				bounds = append(bounds, s[0], s[1])
			}
		}
	}
	slices.Sort(bounds)
	return slices.Compact(bounds)
}

// prefix are running sums of each row's returns and of their squares, up to each bound.
type prefix struct {
	bounds        []int
	sums, squares [][]float64
}

func runningSums(p *Panel, bounds []int) prefix {
	out := prefix{bounds: bounds, sums: make([][]float64, len(p.Returns)), squares: make([][]float64, len(p.Returns))}
	for i, row := range p.Returns {
		sums, squares := make([]float64, len(bounds)), make([]float64, len(bounds))
		from, sum, square := 0, 0.0, 0.0
		for k, to := range bounds {
			for _, r := range row[from:to] {
				sum += r
				square += float64(r * r)
			}
			from, sums[k], squares[k] = to, sum, square
		}
		out.sums[i], out.squares[i] = sums, squares
	}
	return out
}

// choose is the row with the highest Sharpe ratio over the spans; the first of equals.
func (x prefix) choose(spans [][2]int) int {
	best, most := 0, math.Inf(-1)
	at := make([][2]int, len(spans))
	for k, s := range spans {
		at[k][0], _ = slices.BinarySearch(x.bounds, s[0])
		at[k][1], _ = slices.BinarySearch(x.bounds, s[1])
	}
	for i := range x.sums {
		var n, sum, squares float64
		for k, s := range spans {
			n += float64(s[1] - s[0])
			sum += x.sums[i][at[k][1]] - x.sums[i][at[k][0]]
			squares += x.squares[i][at[k][1]] - x.squares[i][at[k][0]]
		}
		mean := sum / n
		variance := squares/n - float64(mean*mean)
		ratio := 0.0
		if variance > 1e-24 {
			ratio = mean / math.Sqrt(variance)
		}
		if ratio > most {
			best, most = i, ratio
		}
	}
	return best
}
