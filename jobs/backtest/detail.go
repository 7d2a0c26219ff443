package backtest

import (
	"fmt"
	"math"
	"sort"
)

// maxWithout is the share of bars that may be without detail.
const maxWithout = 0.01

// detail is the inside of bars: bars of a lower timeframe.
type detail struct {
	bars    *Bars
	from    []int32 // of each bar, the first bar inside it
	to      []int32 // and the one after its last; the same as from when the bar has no detail
	without int
}

// DetailError says why bars cannot be the inside of others.
type DetailError struct{ Reason string }

// Error implements error.
func (e *DetailError) Error() string { return e.Reason }

// WithDetail are the bars with those of a lower timeframe inside them, whose path runs follow in place of
// the one that they assume. A bar without any inside, or whose inside has another range than its
// own, keeps the assumed path; more than one in a hundred of them is an error, a *DetailError.
func (b *Bars) WithDetail(fine *Bars) (*Bars, error) {
	if fine.interval <= 0 || 2*fine.interval > b.interval {
		return nil, &DetailError{"has bars that are not shorter: it needs at least two in each bar of the dataset"}
	}
	d := &detail{bars: fine, from: make([]int32, b.Len()), to: make([]int32, b.Len())}
	firstAbsent, firstOther, absent := -1, -1, 0
	for i := range b.Time {
		from := sort.Search(fine.Len(), func(k int) bool { return fine.Time[k] >= b.Time[i] })
		to := from + sort.Search(fine.Len()-from, func(k int) bool { return fine.Time[from+k] >= b.end(i) })
		d.from[i], d.to[i] = int32(from), int32(to)
		switch {
		case from == to:
			absent++
			if firstAbsent < 0 {
				firstAbsent = i
			}
		case !fine.spans(from, to, b.High[i], b.Low[i]):
			d.to[i] = d.from[i]
			if firstOther < 0 {
				firstOther = i
			}
		default:
			continue
		}
		d.without++
	}
	if float64(d.without) > maxWithout*float64(b.Len()) {
		if absent*2 >= d.without {
			return nil, &DetailError{fmt.Sprintf("does not cover the bars: %d of %d have none inside, the first is bar %d", absent, b.Len(), firstAbsent)}
		}
		return nil, &DetailError{fmt.Sprintf("is not of the same prices: the inside of %d of %d bars has another high or low, first that of bar %d", d.without-absent, b.Len(), firstOther)}
	}
	detailed := *b
	detailed.detail = d
	return &detailed, nil
}

// end is where bar i ends: where the next begins, or, before a gap, after the usual time.
func (b *Bars) end(i int) int64 {
	usual := b.Time[i] + b.interval
	if i+1 < b.Len() && b.Time[i+1] <= usual+b.interval/2 {
		return b.Time[i+1]
	}
	return usual
}

// spans reports whether the bars [from, to) have that high and low together.
func (b *Bars) spans(from, to int, high, low float64) bool {
	h, l := math.Inf(-1), math.Inf(1)
	for k := from; k < to; k++ {
		h, l = max(h, b.High[k]), min(l, b.Low[k])
	}
	return math.Abs(h-high) <= 1e-6*high && math.Abs(l-low) <= 1e-6*low
}

// Detail are the bars inside bar i: [from, to) of fine. There are none when from is to.
func (b *Bars) Detail(i int) (fine *Bars, from, to int) {
	if b.detail == nil {
		return nil, 0, 0
	}
	return b.detail.bars, int(b.detail.from[i]), int(b.detail.to[i])
}

// Detailed reports whether the bars have others inside, and how many keep the assumed path.
func (b *Bars) Detailed() (without int, ok bool) {
	if b.detail == nil {
		return 0, false
	}
	return b.detail.without, true
}

// slice is the detail of the bars [from, to).
func (d *detail) slice(from, to int) *detail {
	if d == nil {
		return nil
	}
	part := &detail{bars: d.bars, from: d.from[from:to:to], to: d.to[from:to:to]}
	for i := range part.from {
		if part.from[i] == part.to[i] {
			part.without++
		}
	}
	return part
}

// DetailNotes say that runs follow the bars inside others, and on how many they cannot.
func DetailNotes(b *Bars) []string {
	without, ok := b.Detailed()
	if !ok {
		return nil
	}
	notes := []string{"fills inside a bar follow the bars of intrabar_dataset in place of an assumed path"}
	if without > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d bars have none of their own range inside: there the path is assumed", without, b.Len()))
	}
	return notes
}
