package console

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"millrace/api/console/chart"
	"millrace/jobs/sweep"
)

// mostColumns bounds each side of the heat map; more values than that share columns.
const mostColumns = 40

// surface gathers trials by the values of two parameters. Its size does not depend on how many
// trials there are, but for the two scores that the scatter is drawn of.
type surface struct {
	spec    sweep.Spec
	x, y    string
	xs, ys  []float64 // of every trial that has a score
	best    []float64 // selection score
	is, oos []float64
	index   []int32 // of the trial
	nothing int     // trials without a score
}

func newSurface(spec sweep.Spec, x, y string) *surface { return &surface{spec: spec, x: x, y: y} }

func (s *surface) add(c *sweep.Columns) {
	is, oos := c.Scores()
	x, y := s.column(c, s.x), s.column(c, s.y)
	choose := is
	if s.spec.SelectOn == sweep.SelectOutOfSample {
		choose = oos
	}
	for i := range is {
		if c.Status(i) == sweep.StatusFailed || math.IsNaN(choose[i]) || math.IsInf(choose[i], 0) {
			s.nothing++
			continue
		}
		s.is, s.oos, s.best = append(s.is, is[i]), append(s.oos, oos[i]), append(s.best, choose[i])
		s.xs, s.ys = append(s.xs, x(i)), append(s.ys, y(i))
		s.index = append(s.index, int32(c.Index(i)))
	}
}

func (s *surface) column(c *sweep.Columns, name string) func(int) float64 {
	k := slices.Index(c.Names(), name)
	if k < 0 {
		return func(int) float64 { return 0 }
	}
	values := c.Param(k)
	return func(i int) float64 { return values[i] }
}

// bins lays the values of an axis out in columns: one a value while they are few, else even steps.
type bins struct {
	values []float64 // one column each; nil: even steps
	low    float64
	step   float64
	n      int
}

func newBins(of []float64) bins {
	seen := map[float64]bool{}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range of {
		if len(seen) <= mostColumns {
			seen[v] = true
		}
		low, high = math.Min(low, v), math.Max(high, v)
	}
	if len(seen) <= mostColumns {
		b := bins{n: len(seen)}
		for v := range seen {
			b.values = append(b.values, v)
		}
		slices.Sort(b.values)
		return b
	}
	return bins{low: low, step: (high - low) / mostColumns, n: mostColumns}
}

func (b bins) at(v float64) int {
	if b.values != nil {
		i, _ := slices.BinarySearch(b.values, v)
		return min(i, b.n-1)
	}
	return min(int((v-b.low)/b.step), b.n-1)
}

func (b bins) label(i int) string {
	if b.values != nil {
		return chart.Short(b.values[i])
	}
	middle := b.low + (float64(i)+0.5)*b.step
	if b.step >= 1 {
		middle = math.Round(middle)
	}
	return chart.Short(middle)
}

func (b bins) labels() []string {
	all := make([]string, b.n)
	for i := range all {
		all[i] = b.label(i)
	}
	return all
}

// heat draws the surface: in each field the figure of the trials that fall into it.
func (s *surface) heat(of string, won map[string]float64, at string) (template.HTML, string, []float64) {
	xb, yb := newBins(s.xs), newBins(s.ys)
	if s.x == s.y { // a single parameter: one row
		yb = bins{values: []float64{0}, n: 1}
	}
	label := fmt.Sprintf("%s over %s and %s", map[string]string{"best": "Best score", "mean": "Mean score", "oos": "Best out-of-sample score", "count": "Number of trials"}[of], s.x, s.y)
	if len(s.best) == 0 {
		return chart.Heat("heat", label, chart.Axis{Name: s.x}, chart.Axis{Name: s.y}, nil, -1, at), "", nil
	}
	counts, values := make([]int, xb.n*yb.n), make([]float64, xb.n*yb.n)
	best := make([]int, xb.n*yb.n) // of each field: the point with the best score
	for i := range s.best {
		at := xb.at(s.xs[i])
		if s.x != s.y {
			at += yb.at(s.ys[i]) * xb.n
		}
		v := s.best[i]
		if of == "oos" {
			v = s.oos[i]
		}
		if counts[at] == 0 || s.better(of, i, best[at]) {
			best[at] = i
		}
		switch {
		case of == "count":
			values[at]++
		case of == "mean":
			values[at] += v
		case math.IsNaN(v):
			continue
		case counts[at] == 0 || v > values[at]:
			values[at] = v
		}
		counts[at]++
	}
	cells := make([]chart.Cell, len(values))
	for at := range cells {
		cells[at].Value = math.NaN()
		if counts[at] == 0 {
			continue
		}
		if of == "mean" {
			values[at] /= float64(counts[at])
		}
		where := s.x + " " + xb.label(at%xb.n)
		if s.x != s.y {
			where += ", " + s.y + " " + yb.label(at/xb.n)
		}
		cells[at] = chart.Cell{Value: values[at], Title: fmt.Sprintf("%s: %s (%s)", where, chart.Short(values[at]), trials(counts[at])), Trial: int(s.index[best[at]])}
	}
	winner := -1
	if won != nil {
		winner = xb.at(won[s.x])
		if s.x != s.y {
			winner += yb.at(won[s.y]) * xb.n
		}
	}
	up := chart.Axis{Name: s.y, Labels: yb.labels()}
	if s.x == s.y {
		up = chart.Axis{Labels: []string{""}}
	}
	note := plural(len(s.best), "trial") + " with a score"
	if s.nothing > 0 {
		note += ", " + count(s.nothing) + " without"
	}
	return chart.Heat("heat", label, chart.Axis{Name: s.x, Labels: xb.labels()}, up, cells, winner, at), note, chart.Levels(cells)
}

// better reports whether point a is more worth opening than b.
func (s *surface) better(of string, a, b int) bool {
	if of == "oos" && !math.IsNaN(s.oos[a]) {
		return math.IsNaN(s.oos[b]) || s.oos[a] > s.oos[b]
	}
	return s.best[a] > s.best[b]
}

// scatter draws each trial's scores, in sample and out of sample.
func (s *surface) scatter(markX, markY float64, at string) template.HTML {
	trial := make([]int, len(s.index))
	for i, index := range s.index {
		trial[i] = int(index)
	}
	return chart.Scatter(chart.Cloud{
		ID: "scatter", Label: "Score out of sample over score in sample, every trial", XName: "in sample", YName: "out of sample",
		X: s.is, Y: s.oos, Trial: trial, Equal: true, MarkX: markX, MarkY: markY, Href: at, Better: func(a, b int) bool { return s.best[a] > s.best[b] },
		Text: func(i int) string {
			return fmt.Sprintf("trial %d · in sample %s · out of sample %s", trial[i], chart.Short(s.is[i]), chart.Short(s.oos[i]))
		},
	})
}

func trials(n int) string { return plural(n, "trial") }
