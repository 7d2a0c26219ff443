package vector

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"

	"github.com/google/uuid"
	blas "gonum.org/v1/gonum/blas/gonum"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
)

// blockRows is how many vectors a block holds: the scores of a block and a column of it fit the
// first-level cache together.
const blockRows = 1024

// block holds up to blockRows vectors column by column: value d of row r is at d·blockRows + r. A
// search touches only the columns in which the query is not zero, which for a lexical query are
// few, and a column times a number is what a processor does best.
type block []float32

// row says whose a vector is. Source types and documents are numbered within the set.
type row struct {
	chunk    uuid.UUID
	document int32
	source   int32
}

// set is one workspace's vectors of one collection, without gaps: a deleted row's place is taken by
// the last. It is not safe for concurrent use.
type set struct {
	dimensions int
	rows       []row
	blocks     []block
	at         map[uuid.UUID]int32 // row of a chunk
	documents  numbering[uuid.UUID]
	sources    numbering[knowledge.SourceType]
}

func newSet(dimensions int) *set {
	return &set{
		dimensions: dimensions, at: map[uuid.UUID]int32{},
		documents: numbering[uuid.UUID]{of: map[uuid.UUID]int32{}},
		sources:   numbering[knowledge.SourceType]{of: map[knowledge.SourceType]int32{}},
	}
}

// numbering gives values small numbers in the order of their coming.
type numbering[T comparable] struct {
	of  map[T]int32
	all []T
}

func (n *numbering[T]) number(value T) int32 {
	if number, ok := n.of[value]; ok {
		return number
	}
	number := int32(len(n.all))
	n.of[value], n.all = number, append(n.all, value)
	return number
}

// bytes is about how much memory the set takes.
func (s *set) bytes() int64 {
	const perRow = 24 + 2*24 // the row, and its place in the map
	return int64(len(s.blocks))*int64(s.dimensions)*blockRows*4 + int64(len(s.rows))*perRow + int64(len(s.documents.all))*64
}

// put writes a chunk's vector, as the little-endian float32s of its stored form.
func (s *set) put(chunk, document uuid.UUID, source knowledge.SourceType, embedding []byte) {
	place, ok := s.at[chunk]
	if !ok {
		place = int32(len(s.rows))
		if len(s.rows) == len(s.blocks)*blockRows {
			s.blocks = append(s.blocks, make(block, s.dimensions*blockRows))
		}
		s.rows = append(s.rows, row{})
		s.at[chunk] = place
	}
	s.rows[place] = row{chunk, s.documents.number(document), s.sources.number(source)}
	column := s.blocks[place/blockRows][place%blockRows:]
	for d := range s.dimensions {
		column[d*blockRows] = math.Float32frombits(binary.LittleEndian.Uint32(embedding[4*d:]))
	}
}

// remove forgets a chunk, if it is there.
func (s *set) remove(chunk uuid.UUID) {
	place, ok := s.at[chunk]
	if !ok {
		return
	}
	delete(s.at, chunk)
	last := int32(len(s.rows) - 1)
	if place != last {
		from, to := s.blocks[last/blockRows][last%blockRows:], s.blocks[place/blockRows][place%blockRows:]
		for d := range s.dimensions {
			to[d*blockRows] = from[d*blockRows]
		}
		s.rows[place] = s.rows[last]
		s.at[s.rows[place].chunk] = place
	}
	s.rows = s.rows[:last]
	if spare := len(s.blocks)*blockRows - len(s.rows); spare >= 2*blockRows {
		s.blocks[len(s.blocks)-1] = nil
		s.blocks = s.blocks[:len(s.blocks)-1]
	}
}

// search returns the best hits among all rows that pass the filter. It compares with every one, so
// nothing is ever missed.
func (s *set) search(ctx context.Context, query []float32, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	keep, some := s.filter(filter)
	if !some || len(s.rows) == 0 || limit < 1 {
		return nil, nil
	}
	const perCore = 8 // blocks below which a second core is not worth waking
	// A set that shrank keeps a spare block, which has no rows to compare.
	used := (len(s.rows) + blockRows - 1) / blockRows
	cores := min(runtime.GOMAXPROCS(0), (used+perCore-1)/perCore)
	best := make([]leaders, cores)
	var err error
	var scans routine.Group
	for core := range cores {
		best[core] = leaders{set: s, limit: limit}
		scan := func() error {
			var scores [blockRows]float32
			for b := core; b < used && ctx.Err() == nil; b += cores {
				s.scan(b, query, &scores, keep, &best[core])
			}
			return ctx.Err()
		}
		if core == cores-1 {
			err = routine.Do(scan)
		} else {
			scans.Run(scan)
		}
	}
	if err := errors.Join(err, scans.Wait()); err != nil {
		return nil, err
	}
	return merge(best, limit), nil
}

// scan offers the rows of one block to the leaders.
func (s *set) scan(b int, query []float32, scores *[blockRows]float32, keep func(row) bool, best *leaders) {
	rows := s.rows[b*blockRows : min((b+1)*blockRows, len(s.rows))]
	n := len(rows)
	clear(scores[:n])
	for d, q := range query {
		if q != 0 {
			blas.Implementation{}.Saxpy(n, q, s.blocks[b][d*blockRows:d*blockRows+n], 1, scores[:n], 1)
		}
	}
	for i, score := range scores[:n] {
		if best.wants(score) && (keep == nil || keep(rows[i])) {
			best.offer(score, int32(b*blockRows+i))
		}
	}
}

// filter makes the test of a row, nil when every row passes; some is false when none can.
func (s *set) filter(f knowledge.Filter) (keep func(row) bool, some bool) {
	sources := known(&s.sources, f.SourceTypes)
	documents := known(&s.documents, f.Documents)
	switch {
	case len(f.SourceTypes) > 0 && len(sources) == 0, len(f.Documents) > 0 && len(documents) == 0:
		return nil, false
	case len(sources) == 0 && len(documents) == 0:
		return nil, true
	}
	return func(r row) bool {
		return (len(sources) == 0 || sources[r.source]) && (len(documents) == 0 || documents[r.document])
	}, true
}

func known[T comparable](numbers *numbering[T], values []T) map[int32]bool {
	found := map[int32]bool{}
	for _, value := range values {
		if number, ok := numbers.of[value]; ok {
			found[number] = true
		}
	}
	return found
}

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
