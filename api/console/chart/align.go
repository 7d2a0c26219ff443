package chart

import (
	"maps"
	"math"
	"slices"
)

// Curve is one line with times of its own.
type Curve struct {
	Name, Class string
	Micros      []int64
	Values      []float64
}

// Align puts curves on one time axis: every time that one of them has. Between its own times a curve
// keeps its last value, so that curves of days and of hours can be read side by side; before its first and
// after its last it has none.
func Align(curves []Curve) Source {
	times := map[int64]bool{}
	for _, c := range curves {
		for _, at := range c.Micros {
			times[at] = true
		}
	}
	s := Source{Micros: slices.Sorted(maps.Keys(times))}
	for _, c := range curves {
		values := make(Values, len(s.Micros))
		next, last := 0, math.NaN()
		for i, at := range s.Micros {
			if next < len(c.Micros) && c.Micros[next] == at {
				last = c.Values[next]
				next++
			} else if next == len(c.Micros) {
				last = math.NaN()
			}
			values[i] = last
		}
		s.Lines = append(s.Lines, PlotLine{Name: c.Name, Class: c.Class, Values: values})
	}
	return s
}
