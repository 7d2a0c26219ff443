package broker

import "math"

// onGrid is how far from the grid, in ticks, a price still counts as on it.
const onGrid = 1e-4

// grid converts between prices and ticks.
type grid struct {
	tick    float64
	inverse float64 // ticks a unit of price when that is a whole number, else 0
}

func newGrid(tick float64) grid {
	g := grid{tick: tick}
	if inverse := math.Round(1 / tick); inverse >= 1 && math.Abs(float64(inverse*tick)-1) < 1e-9 {
		g.inverse = inverse
	}
	return g
}

// ticks is a price in ticks: whole when the price is on the grid, as it is when it is not.
func (g *grid) ticks(price float64) float64 {
	k := price / g.tick
	if r := math.Floor(k + 0.5); math.Abs(k-r) < onGrid {
		return r
	}
	return k
}

// price is the decimal nearest to a number of ticks: dividing by a whole number rounds once, where a
// multiplication by 0.01 would add its own error.
func (g *grid) price(ticks float64) float64 {
	if g.inverse > 0 {
		return ticks / g.inverse
	}
	return ticks * g.tick
}

// up and down move a number of ticks to the grid.
func up(k float64) float64 {
	if r := math.Floor(k + 0.5); math.Abs(k-r) < onGrid {
		return r
	}
	return math.Ceil(k)
}

func down(k float64) float64 {
	if r := math.Floor(k + 0.5); math.Abs(k-r) < onGrid {
		return r
	}
	return math.Floor(k)
}

// stopTicks and limitTicks move a level to the grid for an order of direction d.
func (g *grid) stopTicks(price float64, d Dir) float64 {
	return stopLevel(price/g.tick, d)
}

func (g *grid) limitTicks(price float64, d Dir) float64 {
	return limitLevel(price/g.tick, d)
}

func stopLevel(k float64, d Dir) float64 {
	if d > 0 {
		return up(k)
	}
	return down(k)
}

func limitLevel(k float64, d Dir) float64 {
	if d > 0 {
		return down(k)
	}
	return up(k)
}

// wholeTicks rounds a distance up to whole ticks.
func wholeTicks(points float64) float64 { return math.Ceil(points - 1e-9) }
