package sweep

import (
	"cmp"
	"math"
	"slices"
)

// compare orders two rows of completed trials, the better one first.
func (c *columns) compare(s Spec, a, b int) int {
	scores := c.selecting(s)
	if order := cmp.Compare(scores[b], scores[a]); order != 0 {
		return order
	}
	for _, column := range c.params {
		if order := cmp.Compare(column[a], column[b]); order != 0 {
			return order
		}
	}
	return cmp.Compare(a, b)
}

// selecting are the scores that trials are ranked by.
func (c *columns) selecting(s Spec) []float64 {
	if s.selectsOOS() {
		return c.scores[1]
	}
	return c.scores[0]
}

// sort orders rows as compare does. A comparison of a million rows waits for memory each time, so that rows are first
// ordered by the bits of their scores, a byte at a time, and only those with equal scores are compared.
func (c *columns) sort(s Spec, rows []int32) {
	scores := c.selecting(s)
	keys := make([]uint64, len(rows))
	for i, row := range rows {
		keys[i] = descending(scores[row])
	}
	sortByKey(keys, rows)
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && keys[to] == keys[from] {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(rows[from:to], func(a, b int32) int { return c.compare(s, int(a), int(b)) })
		}
		from = to
	}
}

// descending is the less the larger the score is, and the same of scores that compare as equal; undefined ones are last.
func descending(score float64) uint64 {
	if score != score {
		return math.MaxUint64
	}
	bits := math.Float64bits(score + 0) // zero has one sign
	if bits>>63 == 1 {
		return bits
	}
	return ^bits &^ (1 << 63)
}

// sortByKey orders keys, and rows with them, from the lowest byte to the highest. A byte that all keys share costs no pass.
func sortByKey(keys []uint64, rows []int32) {
	var counts [8][256]int32
	for _, key := range keys {
		for b := range counts {
			counts[b][byte(key>>(8*b))]++
		}
	}
	fromKeys, fromRows := keys, rows
	toKeys, toRows := make([]uint64, len(keys)), make([]int32, len(rows))
	for b := range counts {
		places := &counts[b]
		if slices.Contains(places[:], int32(len(keys))) {
			continue
		}
		var next int32
		for i, n := range places {
			places[i], next = next, next+n
		}
		for i, key := range fromKeys {
			at := &places[byte(key>>(8*b))]
			toKeys[*at], toRows[*at] = key, fromRows[i]
			*at++
		}
		fromKeys, toKeys, fromRows, toRows = toKeys, fromKeys, toRows, fromRows
	}
	if len(keys) > 0 && &fromKeys[0] != &keys[0] {
		copy(keys, fromKeys)
		copy(rows, fromRows)
	}
}
