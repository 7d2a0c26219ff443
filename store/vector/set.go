package vector

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
)

// blockRows is how many vectors a block holds, which is what memory is taken by: whole tiles.
const blockRows = 1024

// block holds up to blockRows vectors, row by row as they are stored, and coarsely. A search reads the coarse
// form of all, a quarter of the bytes, and of the exact ones those that may be among the best.
type block struct {
	values []float32 // value d of row r is at r·dimensions + d
	tiles  []tile
}

func newBlock(dimensions int) block {
	b := block{values: make([]float32, blockRows*dimensions), tiles: make([]tile, blockRows/tileRows)}
	codes := make([]int8, blockRows*2*pairsOf(dimensions))
	for i := range b.tiles {
		n := tileRows * 2 * pairsOf(dimensions)
		b.tiles[i].codes = codes[i*n : (i+1)*n : (i+1)*n]
	}
	return b
}

// row is the vector of a row of the block.
func (b block) row(r, dimensions int) []float32 {
	return b.values[r*dimensions:][:dimensions:dimensions]
}

// put writes a row in both forms.
func (b block) put(r int, vector []float32) {
	copy(b.row(r, len(vector)), vector)
	b.tiles[r/tileRows].put(r%tileRows, vector)
}

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
	read       []float32           // the vector that put reads
	documents  numbering[uuid.UUID]
	sources    numbering[knowledge.SourceType]
}

func newSet(dimensions int) *set {
	return &set{
		dimensions: dimensions, at: map[uuid.UUID]int32{}, read: make([]float32, dimensions),
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
	perBlock := blockRows * (4*s.dimensions + 2*pairsOf(s.dimensions) + fitBytes)
	return int64(len(s.blocks))*int64(perBlock) + int64(len(s.rows))*perRow + int64(len(s.documents.all))*64
}

// put writes a chunk's vector, as the little-endian float32s of its stored form.
func (s *set) put(chunk, document uuid.UUID, source knowledge.SourceType, embedding []byte) {
	place, ok := s.at[chunk]
	if !ok {
		place = int32(len(s.rows))
		if len(s.rows) == len(s.blocks)*blockRows {
			s.blocks = append(s.blocks, newBlock(s.dimensions))
		}
		s.rows = append(s.rows, row{})
		s.at[chunk] = place
	}
	s.rows[place] = row{chunk, s.documents.number(document), s.sources.number(source)}
	for d := range s.read {
		s.read[d] = math.Float32frombits(binary.LittleEndian.Uint32(embedding[4*d:]))
	}
	s.blocks[place/blockRows].put(int(place%blockRows), s.read)
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
		s.blocks[place/blockRows].put(int(place%blockRows), s.blocks[last/blockRows].row(int(last%blockRows), s.dimensions))
		s.rows[place] = s.rows[last]
		s.at[s.rows[place].chunk] = place
	}
	s.rows = s.rows[:last]
	if spare := len(s.blocks)*blockRows - len(s.rows); spare >= 2*blockRows {
		s.blocks[len(s.blocks)-1] = block{}
		s.blocks = s.blocks[:len(s.blocks)-1]
	}
}

// search returns the best hits among all rows that pass the filter. It compares with every one, if only coarsely, so
// nothing is ever missed.
func (s *set) search(ctx context.Context, query []float32, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	keep, some := s.filter(filter)
	if !some || len(s.rows) == 0 || limit < 1 {
		return nil, nil
	}
	const perCore = 16 // blocks below which a second core is not worth waking
	// A set that shrank keeps a spare block, which has no rows to compare.
	used := (len(s.rows) + blockRows - 1) / blockRows
	cores := min(runtime.GOMAXPROCS(0), (used+perCore-1)/perCore)
	asked := newQuestion(query)
	best := make([]leaders, cores)
	var err error
	var scans routine.Group
	for core := range cores {
		best[core] = leaders{set: s, limit: limit}
		scan := func() error {
			scan := scan{set: s, question: &asked, keep: keep, best: &best[core]}
			for b := core; b < used && ctx.Err() == nil; b += cores {
				scan.block(b)
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
