package vector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func stored(v []float32) []byte {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

func randomVector(r *rand.Rand, dims, nonzero int) []float32 {
	v := make([]float32, dims)
	for range nonzero {
		v[r.IntN(dims)] = float32(r.NormFloat64())
	}
	return knowledge.Normalized(v)
}

func TestSearchAfterShrinkingOverABlockBound(t *testing.T) {
	s := newSet(2)
	var last uuid.UUID
	for range blockRows + 1 {
		last = uuid.New()
		s.put(last, uuid.New(), knowledge.SourceText, make([]byte, 8))
	}
	s.remove(last)
	s.remove(s.rows[0].chunk)
	hits, err := s.search(t.Context(), []float32{1, 0}, knowledge.Filter{}, 3)
	require.NoError(t, err)
	assert.Len(t, hits, 3)
}

// plainSet is what a set has to be: a map that is compared with one by one.
type plainSet map[uuid.UUID]plainRow

type plainRow struct {
	document uuid.UUID
	source   knowledge.SourceType
	vector   []float32
}

func (p plainSet) search(query []float32, filter knowledge.Filter, limit int) []knowledge.Hit {
	var hits []knowledge.Hit
	for chunk, row := range p {
		if len(filter.SourceTypes) > 0 && !slices.Contains(filter.SourceTypes, row.source) ||
			len(filter.Documents) > 0 && !slices.Contains(filter.Documents, row.document) {
			continue
		}
		var score float32
		for d, q := range query {
			score += q * row.vector[d]
		}
		hits = append(hits, knowledge.Hit{Chunk: chunk, Document: row.document, Score: float64(score)})
	}
	slices.SortFunc(hits, func(a, b knowledge.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Chunk[:], b.Chunk[:]))
	})
	return hits[:min(limit, len(hits))]
}

// model is a set and its twin, and how they are changed alike.
type model struct {
	r         *rand.Rand
	set       *set
	plain     plainSet
	chunks    []uuid.UUID
	documents []uuid.UUID
}

var modelSources = []knowledge.SourceType{knowledge.SourceText, knowledge.SourcePDF, knowledge.SourceArticle}

func (m *model) id() uuid.UUID {
	var id uuid.UUID
	binary.LittleEndian.PutUint64(id[:], m.r.Uint64())
	return id
}

// put writes a chunk. Values are whole numbers, so that sums are exact and many scores tie.
func (m *model) put(chunk uuid.UUID) {
	row := plainRow{m.documents[m.r.IntN(len(m.documents))], modelSources[m.r.IntN(len(modelSources))], make([]float32, m.set.dimensions)}
	for d := range row.vector {
		row.vector[d] = float32(m.r.IntN(9) - 4)
	}
	if _, known := m.plain[chunk]; !known {
		m.chunks = append(m.chunks, chunk)
	}
	m.plain[chunk] = row
	m.set.put(chunk, row.document, row.source, stored(row.vector))
}

func (m *model) remove() {
	if len(m.chunks) == 0 {
		m.set.remove(m.id())
		return
	}
	i := m.r.IntN(len(m.chunks))
	chunk := m.chunks[i]
	m.chunks[i] = m.chunks[len(m.chunks)-1]
	m.chunks = m.chunks[:len(m.chunks)-1]
	delete(m.plain, chunk)
	m.set.remove(chunk)
}

func (m *model) search(t *testing.T) {
	query := make([]float32, m.set.dimensions)
	for d := range query {
		query[d] = float32(m.r.IntN(5) - 2)
	}
	var filter knowledge.Filter
	if m.r.IntN(3) == 0 {
		filter.SourceTypes = modelSources[:1+m.r.IntN(2)]
	}
	if m.r.IntN(3) == 0 {
		filter.Documents = []uuid.UUID{m.documents[m.r.IntN(len(m.documents))], m.id()}
	}
	limit := 1 + m.r.IntN(20)
	hits, err := m.set.search(t.Context(), query, filter, limit)
	require.NoError(t, err)
	want := m.plain.search(query, filter, limit)
	require.Equal(t, len(want), len(hits))
	if len(want) > 0 {
		require.Equal(t, want, hits)
	}
}

// TestSetFindsWhatComparingOneByOneFinds changes a set at random, around every bound of its blocks, and
// compares each search with that of a twin that holds a map.
func TestSetFindsWhatComparingOneByOneFinds(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := &model{r: rand.New(rand.NewPCG(seed, 1)), set: newSet(3), plain: plainSet{}}
			for range 20 {
				m.documents = append(m.documents, m.id())
			}
			for range 12 {
				// To within a few rows of a bound of up to 20 blocks, where two cores share a search, then
				// back and forth over it.
				for target := m.r.IntN(21) * blockRows; len(m.plain) != target; {
					if len(m.plain) < target {
						m.put(m.id())
					} else {
						m.remove()
					}
				}
				for range 60 {
					switch m.r.IntN(5) {
					case 0, 1:
						m.put(m.id())
					case 2, 3:
						m.remove()
					case 4:
						if len(m.chunks) > 0 {
							m.put(m.chunks[m.r.IntN(len(m.chunks))])
						}
					}
					if m.r.IntN(6) == 0 {
						m.search(t)
					}
				}
				m.search(t)
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSet(384)
	doc := uuid.New()
	for i := range 100_000 {
		if i%50 == 0 {
			doc = uuid.New()
		}
		s.put(uuid.New(), doc, "text", stored(randomVector(r, 384, 384)))
	}
	for name, nonzero := range map[string]int{"dense": 2000, "lexical": 16} {
		b.Run(name, func(b *testing.B) {
			q := randomVector(r, 384, nonzero)
			for b.Loop() {
				if _, err := s.search(b.Context(), q, knowledge.Filter{}, 10); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.bytes())/1e6, "MB")
		})
	}
}
