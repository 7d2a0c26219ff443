package evidence

import (
	"cmp"
	"math"
	"slices"
)

func compareFloats(a, b float64) int { return cmp.Compare(a, b) }

// median is the middle value; the mean of the two middle ones of an even number, NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
