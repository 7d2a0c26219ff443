package sweep

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/portable"
	"millrace/jobs/sweep/evidence"
)

// density is a mixture over the unit cube: a uniform component, and about each point a normal one,
// cut off at the cube's faces.
type density struct {
	floors []float64   // least widths by axis
	points [][]float64 // centres
	widths [][]float64 // standard deviations
	scales []float64   // of each point: 1 over the mass inside the cube and the normal's constants
}

// newDensity makes a density about points. Along each axis a point is as wide as the greater of the
// distances to its neighbours (Bergstra et al. 2011), but no less than the cube's width over the
// number of components, or over 100, or than half of the parameter's step.
func newDensity(points [][]float64, steps []float64) *density {
	d := &density{floors: make([]float64, len(steps))}
	for axis, step := range steps {
		d.floors[axis] = max(1/min(100, float64(len(points)+2)), step/2)
	}
	widths := make([][]float64, len(points))
	for i := range widths {
		widths[i] = make([]float64, len(steps))
	}
	order := make([]int, len(points))
	for axis := range steps {
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(points[a][axis], points[b][axis]), a-b) })
		for at, i := range order {
			var gap float64
			if at > 0 {
				gap = points[i][axis] - points[order[at-1]][axis]
			}
			if at < len(order)-1 {
				gap = max(gap, points[order[at+1]][axis]-points[i][axis])
			}
			widths[i][axis] = max(gap, d.floors[axis])
			if len(order) == 1 {
				widths[i][axis] = 1
			}
		}
	}
	for i := range points {
		d.append(points[i], widths[i])
	}
	return d
}

// add adds a point of the least width.
func (d *density) add(at []float64) { d.append(at, d.floors) }

func (d *density) append(at, widths []float64) {
	scale := 1.0
	for axis, width := range widths {
		inside := evidence.NormalCDF((1-at[axis])/width) - evidence.NormalCDF(-at[axis]/width)
		scale /= inside * width * math.Sqrt(2*math.Pi)
	}
	d.points, d.widths, d.scales = append(d.points, at), append(d.widths, widths), append(d.scales, scale)
}

// draw writes a point of the mixture. random gives a number in [0,1) for each stream.
func (d *density) draw(random func(stream uint64) float64, at []float64) {
	component := int(random(0) * float64(len(d.points)+1))
	for axis := range at {
		u := random(1 + uint64(axis))
		if component == len(d.points) {
			at[axis] = u
			continue
		}
		centre, width := d.points[component][axis], d.widths[component][axis]
		low, high := evidence.NormalCDF(-centre/width), evidence.NormalCDF((1-centre)/width)
		at[axis] = min(max(centre+float64(width*evidence.NormalQuantile(low+float64(u*(high-low)))), 0), math.Nextafter(1, 0))
	}
}

// log is the logarithm of the density at a point.
func (d *density) log(at []float64) float64 {
	sum := 1.0
	for i, centre := range d.points {
		var squares float64
		for axis, width := range d.widths[i] {
			z := (at[axis] - centre[axis]) / width
			squares += float64(z * z)
		}
		sum += float64(d.scales[i] * portable.Exp(-squares/2))
	}
	return portable.Log(sum / float64(len(d.points)+1))
}
