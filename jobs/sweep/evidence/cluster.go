package evidence

import (
	"math"
	"slices"
)

// alike is the correlation, of either sign, that every two trials of a group have.
const alike = 0.5

// same is the correlation from which two trials count as one: rounding aside they made the same trades.
const same = 1 - 1e-9

// Groups are the trials of a panel by likeness.
type Groups struct {
	Of      [][]int   // rows of each group; repeated trials once. Ordered by their first row
	SR      []float64 // per-period Sharpe ratio of each group's mean trial, turned towards the best one
	Alone   int       // groups of a single trial
	Sampled int       // rows that vary, repeated trials included
}

// Cluster groups the rows by complete linkage: in a group every two rows have a correlation of at
// least 0.5, or of at most −0.5. best is a row: groups that are opposite to it are mirrored before
// their Sharpe ratio is taken, so that both halves of a mirrored grid say the same.
func Cluster(p *Panel, best int) *Groups {
	g, rows := &Groups{}, likenessOf(p)
	var unique []int
	var distance [][]float64 // of those that are unique
	for i, row := range rows.standard {
		if row == nil {
			continue
		}
		g.Sampled++
		if near := rows.distances(unique, i); near != nil {
			unique, distance = append(unique, i), append(distance, near)
		}
	}
	for a := range distance {
		distance[a] = append(distance[a], make([]float64, len(unique)-a)...)
		for b, d := range distance[a][:a] {
			distance[b][a] = d
		}
	}
	g.Of = completeLinkage(distance, 1-alike)
	g.SR = make([]float64, len(g.Of))
	for _, members := range g.Of {
		for k := range members {
			members[k] = unique[members[k]]
		}
		if len(members) == 1 {
			g.Alone++
		}
	}
	beside(len(g.Of), func(i int) { g.SR[i] = rows.meanTrial(g.Of[i], rows.standard[best]) })
	return g
}

// besideValues is from how many returns on the rows that a row is held against are shared out: some 100 us of work.
const besideValues = 1 << 18

// likeness compares the rows of a panel.
type likeness struct {
	*Panel
	standard [][]float64 // rows with mean 0 and length 1; nil for one that does not vary
}

func likenessOf(p *Panel) likeness {
	l := likeness{p, p.standard}
	if l.standard == nil {
		l.standard = make([][]float64, len(p.Returns))
		for i, row := range p.Returns {
			l.standard[i] = p.spreadOf(i).standardise(row)
		}
	}
	return l
}

// distances are those of a row from others; nil when one of them is the same.
func (l likeness) distances(others []int, row int) []float64 {
	near := make([]float64, len(others))
	var unknown []int // places in others
	for k, other := range others {
		product, ok := l.known.product(l.knownAs(other), l.knownAs(row))
		if near[k] = math.Abs(product); !ok {
			unknown = append(unknown, k)
		}
	}
	if slices.ContainsFunc(near, isSame) || !l.findProducts(others, unknown, row, near) {
		return nil
	}
	for k := range near {
		near[k] = 1 - near[k]
	}
	return near
}

// findProducts fills in those of a row and of the others in these places, and reports whether none of them is the same.
func (l likeness) findProducts(others, places []int, row int, near []float64) bool {
	like := func(four int) {
		few := places[4*four : min(4*four+4, len(places))]
		rows := make([][]float64, len(few))
		for i, k := range few {
			rows[i] = l.standard[others[k]]
		}
		for i, product := range dots(l.standard[row], fourOf(rows)) {
			if i < len(few) {
				near[few[i]] = math.Abs(product)
			}
		}
	}
	fours := (len(places) + 3) / 4
	if len(places)*len(l.standard[row]) >= besideValues {
		beside(fours, like)
	} else {
		for four := range fours {
			if like(four); slices.ContainsFunc(near, isSame) {
				return false
			}
		}
	}
	return !slices.ContainsFunc(near, isSame)
}

func isSame(alike float64) bool { return alike >= same }

// product is that of two rows at the same scale.
func (l likeness) product(a, b int) float64 {
	if product, ok := l.known.product(l.knownAs(a), l.knownAs(b)); ok {
		return product
	}
	return dot(l.standard[a], l.standard[b])
}

func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	for len(a) >= 4 {
		s0 += float64(a[0] * b[0])
		s1 += float64(a[1] * b[1])
		s2 += float64(a[2] * b[2])
		s3 += float64(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	for t := range a {
		s0 += float64(a[t] * b[t])
	}
	return s0 + s1 + (s2 + s3)
}

// meanTrial is the Sharpe ratio of the mean of the members, each at the same deviation.
func (l likeness) meanTrial(members []int, towards []float64) float64 {
	sum := make([]float64, l.Periods())
	for _, i := range members {
		scale := 1 / l.spreadOf(i).deviation
		if i != members[0] && l.product(i, members[0]) < 0 {
			scale = -scale
		}
		for t, r := range l.Returns[i] {
			sum[t] += float64(r * scale)
		}
	}
	ratio := Describe(sum).SR()
	if towards != nil && dot(sum, towards) < 0 {
		return -ratio
	}
	return ratio
}

// completeLinkage merges groups, the nearest first, while the farthest two members of a group are
// within the limit. It follows chains of nearest neighbours, which takes time in the square of the
// number of rows, and changes distance.
func completeLinkage(distance [][]float64, limit float64) [][]int {
	n := len(distance)
	members := make([][]int, n)
	for i := range members {
		members[i] = []int{i}
	}
	var done [][]int
	var chain []int
	for left := n; left > 0; {
		if len(chain) == 0 {
			chain = append(chain, slices.IndexFunc(members, func(m []int) bool { return m != nil }))
		}
		top := chain[len(chain)-1]
		near, d := nearestGroup(distance[top], members, top)
		switch {
		case near < 0 || d > limit:
			// Nothing merges with this group any more: merging others only moves them away.
			done, members[top] = append(done, members[top]), nil
			chain = chain[:len(chain)-1]
			left--
		case len(chain) > 1 && distance[top][chain[len(chain)-2]] <= d:
			into := chain[len(chain)-2]
			chain = chain[:len(chain)-2]
			members[into] = append(members[into], members[top]...)
			members[top] = nil
			left--
			for k := range members {
				far := max(distance[into][k], distance[top][k])
				distance[into][k], distance[k][into] = far, far
			}
		default:
			chain = append(chain, near)
		}
	}
	for _, m := range done {
		slices.Sort(m)
	}
	slices.SortFunc(done, func(a, b []int) int { return a[0] - b[0] })
	return done
}

func nearestGroup(distances []float64, members [][]int, self int) (near int, d float64) {
	near, d = -1, math.Inf(1)
	for k, m := range members {
		if k != self && m != nil && distances[k] < d {
			near, d = k, distances[k]
		}
	}
	return near, d
}

// Trials is the number of independent trials that the groups stand for among all trials, of which the
// panel is a sample. The share of rows alone in their group estimates how often another trial would
// be a new group (Good, "The population frequencies of species", Biometrika 40, 1953); every trial
// that was not sampled counts at that share.
func (g *Groups) Trials(all int) int {
	if g.Sampled == 0 || all <= g.Sampled {
		return len(g.Of)
	}
	unseen := float64(all-g.Sampled) * float64(g.Alone) / float64(g.Sampled)
	return len(g.Of) + int(math.Round(unseen))
}

// Variance is that of the groups' Sharpe ratios about their mean, and at least the sampling variance
// of a ratio over that many periods, which trials without any difference have too.
func (g *Groups) Variance(periods int) float64 {
	least := 1 / float64(max(periods-1, 1))
	if len(g.SR) < 2 {
		return least
	}
	d := Describe(g.SR).Deviation
	return max(least, d*d)
}
