package evidence

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"millrace/jobs/portable"
)

// Comparison is what the bootstrap says of the trials of a panel against zero.
type Comparison struct {
	Best         int     // row with the highest studentised mean
	Statistic    float64 // of that row: √n·mean/deviation of the mean, at least 0
	RealityCheck float64 // p-value of White's test; not studentised
	SPA          float64 // consistent p-value of Hansen's test
	SPALower     float64
	SPAUpper     float64
	Critical     float64 // the statistic that the level asks of the best trial
	Survivors    []int   // rows that stepwise testing keeps at the level, in order of statistic
	Statistics   []float64
	Block        float64 // mean block length used
	Resamples    int
}

// Options are the settings of Compare.
type Options struct {
	Resamples int     // at least 100
	Block     float64 // mean block length in periods; 0: PanelBlockLength
	Level     float64 // of the survivors, in (0, 1)
	Seed      uint64
}

// ErrTooFew is returned for a panel that no test can say anything about.
var ErrTooFew = errors.New("fewer than 20 periods, or no trial whose returns vary")

// Compare tests whether the best trial's mean return is above zero, given that it was chosen from
// all of the panel. Rows that do not vary take no part.
func Compare(p *Panel, o Options) (*Comparison, error) {
	rows, means := varying(p)
	n := p.Periods()
	if n < 20 || len(rows) == 0 {
		return nil, ErrTooFew
	}
	if o.Block == 0 {
		o.Block = p.PanelBlockLength()
	}
	o.Block = min(o.Block, float64(n)/2)
	drawn := resample(p, rows, o)
	return judge(rows, means, drawn, n, o), nil
}

func varying(p *Panel) (rows []int, means []float64) {
	for i := range p.Returns {
		if m := p.spreadOf(i); m.deviation > 0 {
			rows, means = append(rows, i), append(means, m.mean)
		}
	}
	return rows, means
}

// resample draws the means of the rows over resampled periods: Resamples rows of len(rows) values.
func resample(p *Panel, rows []int, o Options) []float64 {
	n, k := p.Periods(), len(rows)
	drawn, groups := make([]float64, o.Resamples*k), groupsOf(p, rows)
	draws := newDraws(n, o)
	for done := 0; done < o.Resamples; {
		spans, ends := draws.next(o.Resamples - done)
		beside(len(groups), func(g int) {
			from := 0
			for i, to := range ends {
				sums := groups[g].running.sum(spans[from:to])
				for of, place := range groups[g].places {
					if place >= 0 {
						drawn[(done+i)*k+place] = sums[of] / float64(n)
					}
				}
				from = to
			}
		})
		done += len(ends)
	}
	return drawn
}

// group are the running sums of up to groupRows rows, and their places among those that are resampled; -1: not among them.
type group struct {
	running runningGroup
	places  []int
}

// groupsOf are groups that have all of the rows: those that are known with most of their rows among them, and new ones for the rest.
func groupsOf(p *Panel, rows []int) (groups []group) {
	left := make(map[int]int, len(rows)) // places by what Known calls the rows, where any are known
	for place, row := range rows {
		name := row
		if p.known != nil {
			name = p.knownAs(row)
		}
		left[name] = place
	}
	for _, known := range p.known.groupsOf() {
		g, there := group{known.running, make([]int, len(known.trials))}, 0
		for i, trial := range known.trials {
			if place, ok := left[trial]; ok {
				g.places[i], there = place, there+1
			} else {
				g.places[i] = -1
			}
		}
		if there*2 <= groupRows {
			continue
		}
		for _, trial := range known.trials {
			delete(left, trial)
		}
		groups = append(groups, g)
	}
	own := len(groups)
	for places := range slices.Chunk(slices.Sorted(maps.Values(left)), groupRows) {
		groups = append(groups, group{places: places})
	}
	beside(len(groups)-own, func(g int) {
		var returns [][]float64
		for _, place := range groups[own+g].places {
			returns = append(returns, p.Returns[rows[place]])
		}
		groups[own+g].running = newRunningGroup(returns)
	})
	return groups
}

// groupRows is how many rows are summed at a time: their running sums together stay in the second cache, where those of all rows
// would be waited for at each draw.
const groupRows = 4

// runningGroup are the running sums of up to groupRows rows, period by period.
type runningGroup [][groupRows]float64

func newRunningGroup(rows [][]float64) runningGroup {
	running := make(runningGroup, len(rows[0])+1)
	for j, row := range rows {
		var sum float64
		for t, r := range row {
			sum += r
			running[t+1][j] = sum
		}
	}
	return running
}

// sumPlain adds up spans. That of one is a difference of two running sums, so that it costs two additions.
func (g runningGroup) sumPlain(spans []span) [groupRows]float64 {
	var a, b, c, d float64
	for _, s := range spans {
		from, to := &g[s.from], &g[s.to]
		a += to[0] - from[0]
		b += to[1] - from[1]
		c += to[2] - from[2]
		d += to[3] - from[3]
	}
	return [groupRows]float64{a, b, c, d}
}

// span are the periods [from, to).
type span struct{ from, to int32 }

// draws are the periods of one resample after the other.
type draws struct {
	rng     *rand.Rand
	periods int
	block   float64
	lengths *lengths
	spans   []span
	ends    []int
}

// spansAtOnce is how many spans are drawn before they are added: all of most tests.
const spansAtOnce = 1 << 20

func newDraws(periods int, o Options) *draws {
	return &draws{
		rng: rand.New(rand.NewPCG(o.Seed, 0x5eed)), periods: periods, block: o.Block, lengths: newLengths(o.Block),
	}
}

// next draws some more resamples, at most so many: their spans, and where those of each end. Both are valid until the next call.
func (d *draws) next(most int) ([]span, []int) {
	if d.spans == nil { // a list that grows span by span takes several times as much memory on its way
		each := float64(d.periods)/max(d.block, 1) + 2 // the last block is cut, and one may continue at the beginning
		d.spans = make([]span, 0, int(min(1.05*each*float64(most), spansAtOnce)+2*each))
	}
	d.spans, d.ends = d.spans[:0], d.ends[:0]
	for len(d.ends) < most && len(d.spans) < spansAtOnce {
		d.one()
		d.ends = append(d.ends, len(d.spans))
	}
	return d.spans, d.ends
}

// one draws one resample.
func (d *draws) one() {
	for n, left := d.periods, d.periods; left > 0; {
		length := min(d.length(), left, n)
		start := d.rng.IntN(n)
		left -= length
		if end := start + length; end <= n {
			d.spans = append(d.spans, span{int32(start), int32(end)})
		} else { // the series continues at its beginning
			d.spans = append(d.spans, span{int32(start), int32(n)}, span{0, int32(end - n)})
		}
	}
}

// length draws the length of a block.
func (d *draws) length() int {
	if d.block <= 1 {
		return 1
	}
	return d.lengths.of(1 - float64(d.rng.Float64()))
}

// judge makes the tests of the rows' means and their resampled means.
func judge(rows []int, means, drawn []float64, n int, o Options) *Comparison {
	k, root := len(rows), math.Sqrt(float64(n))
	errs := deviations(means, drawn, k) // of the means
	c := &Comparison{Block: o.Block, Resamples: o.Resamples, Statistics: make([]float64, k)}
	best, largest := 0, math.Inf(-1)
	for j, mean := range means {
		c.Statistics[j] = mean / errs[j]
		if c.Statistics[j] > c.Statistics[best] {
			best = j
		}
		largest = max(largest, mean)
	}
	c.Best, c.Statistic = rows[best], max(0, c.Statistics[best])

	// A trial far below zero says nothing about the best; Hansen leaves its mean in the resamples.
	far := -math.Sqrt(2 * portable.Log(portable.Log(float64(n))))
	centres := [3][]float64{make([]float64, k), make([]float64, k), means}
	for j, mean := range means {
		centres[0][j] = max(0, mean)
		if c.Statistics[j] >= far {
			centres[1][j] = mean
		}
	}
	var above [3]float64
	var white float64
	for b := range o.Resamples {
		draw := drawn[b*k : (b+1)*k]
		plain := math.Inf(-1)
		for j, v := range draw {
			plain = max(plain, v-means[j])
		}
		if plain > largest {
			white++
		}
		for i, centre := range centres {
			if highest(draw, centre, errs) > c.Statistic {
				above[i]++
			}
		}
	}
	draws := float64(o.Resamples)
	c.RealityCheck, c.SPALower, c.SPA, c.SPAUpper = white/draws, above[0]/draws, above[1]/draws, above[2]/draws
	if root > 0 {
		c.step(rows, drawn, centres[1], errs, o.Level)
	}
	return c
}

// highest is the largest studentised deviation of a draw from its centres, at least 0.
func highest(draw, centre, errs []float64) float64 {
	var most float64
	centre, errs = centre[:len(draw)], errs[:len(draw)]
	for j, v := range draw {
		most = max(most, (v-centre[j])/errs[j])
	}
	return most
}

// deviations are those of the resampled means about the means.
func deviations(means, drawn []float64, k int) []float64 {
	squares := make([]float64, k)
	for b := 0; b < len(drawn); b += k {
		for j, v := range drawn[b : b+k] {
			d := v - means[j]
			squares[j] += float64(d * d)
		}
	}
	for j := range squares {
		squares[j] = math.Sqrt(squares[j] * float64(k) / float64(len(drawn)))
	}
	return squares
}

// step finds the survivors: those above the critical value of all, then those above that of the rest,
// until no other one is.
func (c *Comparison) step(rows []int, drawn, centre, errs []float64, level float64) {
	k := len(rows)
	left := make([]int, k)
	for j := range left {
		left[j] = j
	}
	var kept []int
	for step := 0; len(left) > 0; step++ {
		critical := quantileOfHighest(drawn, k, left, centre, errs, 1-level)
		if step == 0 {
			c.Critical = critical
		}
		before := len(kept)
		left = slices.DeleteFunc(left, func(j int) bool {
			if c.Statistics[j] <= critical {
				return false
			}
			kept = append(kept, j)
			return true
		})
		if len(kept) == before {
			break
		}
	}
	slices.SortFunc(kept, func(a, b int) int {
		if c.Statistics[a] != c.Statistics[b] {
			return compareFloats(c.Statistics[b], c.Statistics[a])
		}
		return a - b
	})
	c.Survivors = make([]int, len(kept))
	for i, j := range kept {
		c.Survivors[i] = rows[j]
	}
}

func quantileOfHighest(drawn []float64, k int, left []int, centre, errs []float64, share float64) float64 {
	draws := len(drawn) / k
	most := make([]float64, draws)
	for b := range draws {
		draw := drawn[b*k : (b+1)*k]
		for _, j := range left {
			most[b] = max(most[b], (draw[j]-centre[j])/errs[j])
		}
	}
	slices.Sort(most)
	return most[min(draws-1, int(math.Ceil(share*float64(draws)))-1+0)]
}
