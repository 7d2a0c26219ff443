package vector

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/knowledge"
)

// leaders are the best rows seen so far: a heap with the worst of them on top.
type leaders struct {
	set   *set
	limit int
	heap  []leader
}

type leader struct {
	score float32
	row   int32
}

// worse orders leaders: by score, ties by chunk.
func (l *leaders) worse(a, b leader) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	x, y := &l.set.rows[a.row].chunk, &l.set.rows[b.row].chunk
	return slices.Compare(x[:], y[:]) > 0
}

// wants reports whether a row of that score may be among the best.
func (l *leaders) wants(score float32) bool {
	return len(l.heap) < l.limit || score >= l.heap[0].score
}

// worst is the score that a row has to reach to be wanted.
func (l *leaders) worst() float64 {
	if len(l.heap) < l.limit {
		return math.Inf(-1)
	}
	return float64(l.heap[0].score)
}

func (l *leaders) offer(score float32, place int32) {
	x := leader{score, place}
	if len(l.heap) < l.limit {
		l.heap = append(l.heap, x)
		for i := len(l.heap) - 1; i > 0; {
			parent := (i - 1) / 2
			if !l.worse(l.heap[i], l.heap[parent]) {
				break
			}
			l.heap[i], l.heap[parent] = l.heap[parent], l.heap[i]
			i = parent
		}
		return
	}
	if !l.worse(l.heap[0], x) {
		return
	}
	l.heap[0] = x
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(l.heap) {
			return
		}
		if child+1 < len(l.heap) && l.worse(l.heap[child+1], l.heap[child]) {
			child++
		}
		if !l.worse(l.heap[child], l.heap[i]) {
			return
		}
		l.heap[i], l.heap[child] = l.heap[child], l.heap[i]
		i = child
	}
}

// merge makes hits of the leaders of every core, best first.
func merge(parts []leaders, limit int) []knowledge.Hit {
	s := parts[0].set
	var all []leader
	for _, part := range parts {
		all = append(all, part.heap...)
	}
	slices.SortFunc(all, func(a, b leader) int {
		if order := cmp.Compare(b.score, a.score); order != 0 {
			return order
		}
		return slices.Compare(s.rows[a.row].chunk[:], s.rows[b.row].chunk[:])
	})
	all = all[:min(limit, len(all))]
	hits := make([]knowledge.Hit, len(all))
	for i, l := range all {
		r := s.rows[l.row]
		hits[i] = knowledge.Hit{Chunk: r.chunk, Document: s.documents.all[r.document], Score: float64(l.score)}
	}
	return hits
}
