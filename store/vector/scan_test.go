package vector

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

// everyRow is a search that compares every row exactly: the score is the sum of rounded products, from the first
// dimension to the last, of those in which the query is not zero.
func (p plainSet) everyRow(query []float32, filter knowledge.Filter, limit int) []knowledge.Hit {
	var hits []knowledge.Hit
	for chunk, row := range p {
		if len(filter.SourceTypes) > 0 && !slices.Contains(filter.SourceTypes, row.source) ||
			len(filter.Documents) > 0 && !slices.Contains(filter.Documents, row.document) {
			continue
		}
		var score float32
		for d, q := range query {
			if q != 0 {
				score += float32(q * row.vector[d])
			}
		}
		hits = append(hits, knowledge.Hit{Chunk: chunk, Document: row.document, Score: float64(score)})
	}
	slices.SortFunc(hits, func(a, b knowledge.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Chunk[:], b.Chunk[:]))
	})
	return hits[:min(limit, len(hits))]
}

func normal(r *rand.Rand, dimensions int) []float32 {
	v := make([]float32, dimensions)
	for d := range v {
		v[d] = float32(r.NormFloat64())
	}
	return v
}

func scaled(v []float32, by float64) []float32 {
	for d := range v {
		v[d] = float32(float64(v[d]) * by)
	}
	return v
}

// vectorKinds make a vector near or far from others.
var vectorKinds = map[string]func(r *rand.Rand, dimensions int) []float32{
	"random": func(r *rand.Rand, dimensions int) []float32 { return knowledge.Normalized(normal(r, dimensions)) },
	"clustered": func(r *rand.Rand, dimensions int) []float32 {
		v := normal(rand.New(rand.NewPCG(r.Uint64N(3), 9)), dimensions)
		for d := range v {
			v[d] += float32(r.NormFloat64() / 300)
		}
		return knowledge.Normalized(v)
	},
	"duplicated": func(r *rand.Rand, dimensions int) []float32 {
		return knowledge.Normalized(normal(rand.New(rand.NewPCG(r.Uint64N(40), 9)), dimensions))
	},
	"mostly zero": func(r *rand.Rand, dimensions int) []float32 { return randomVector(r, dimensions, r.IntN(4)) },
	"one number above all": func(r *rand.Rand, dimensions int) []float32 {
		v := normal(r, dimensions)
		v[r.IntN(dimensions)] = 1000
		return knowledge.Normalized(v)
	},
	"of any length": func(r *rand.Rand, dimensions int) []float32 {
		return scaled(normal(r, dimensions), math.Pow(10, float64(r.IntN(30)-15)))
	},
	"below what has all digits": func(r *rand.Rand, dimensions int) []float32 {
		return scaled(normal(r, dimensions), math.Pow(10, -float64(36+r.IntN(9))))
	},
	"beyond what is compared coarsely": func(r *rand.Rand, dimensions int) []float32 {
		return scaled(normal(r, dimensions), math.Pow(10, float64(13+r.IntN(6))))
	},
}

// A search skips rows whose coarse form cannot be among the best, and finds what comparing every row exactly finds: the
// same chunks with the same scores in the same order.
func TestASearchFindsWhatComparingEveryRowFinds(t *testing.T) {
	t.Parallel()
	for _, kind := range slices.Sorted(maps.Keys(vectorKinds)) {
		for _, dimensions := range []int{1, 2, 3, 31, 32, 37, 384} {
			t.Run(fmt.Sprint(kind, " in ", dimensions), func(t *testing.T) {
				t.Parallel()
				everyKindOfSearch(t, vectorKinds[kind], rand.New(rand.NewPCG(uint64(dimensions), 77)), dimensions)
			})
		}
	}
}

func everyKindOfSearch(t *testing.T, make func(*rand.Rand, int) []float32, r *rand.Rand, dimensions int) {
	m := &model{r: r, set: newSet(dimensions), plain: plainSet{}}
	for range 5 {
		m.documents = append(m.documents, m.id())
	}
	put := func(n int) {
		for range n {
			row := plainRow{m.documents[r.IntN(5)], modelSources[r.IntN(3)], make(r, dimensions)}
			chunk := m.id()
			m.chunks, m.plain[chunk] = append(m.chunks, chunk), row
			m.set.put(chunk, row.document, row.source, stored(row.vector))
		}
	}
	for range 6 {
		put(150 + r.IntN(400))
		for range r.IntN(200) {
			m.remove()
		}
		for range 8 {
			query := make(r, dimensions)
			switch r.IntN(6) {
			case 0, 1:
				query = randomVector(r, dimensions, 1+r.IntN(6)) // as a lexical one
			case 2:
				query = scaled(knowledge.Normalized(query), 1e19) // beyond what is compared coarsely
			case 3, 4:
				query = knowledge.Normalized(query)
			}
			var filter knowledge.Filter
			if r.IntN(4) == 0 {
				filter.SourceTypes = modelSources[:1+r.IntN(2)]
			}
			if r.IntN(4) == 0 {
				filter.Documents = m.documents[:1+r.IntN(2)]
			}
			limit := 1 + r.IntN(30)
			hits, err := m.set.search(t.Context(), query, filter, limit)
			require.NoError(t, err)
			require.Equal(t, m.plain.everyRow(query, filter, limit), hits)
		}
	}
}

// The best row may be the one whose codes miss most: in the direction of the query, by all that its bound allows. Its
// coarse score is then below that of others, whose codes miss nothing.
func TestTheBestRowIsFoundWhereItsCodesMissMost(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	for round := range 300 {
		dimensions := 2 + r.IntN(400)
		query, best, other := make([]float32, dimensions), make([]float32, dimensions), make([]float32, dimensions)
		for d := range query {
			query[d] = float32(1 - 2*r.IntN(2))
			// Codes are whole here: the scale is 1, by the number of 127.
			code := r.IntN(200) - 100
			if d == 0 {
				code = 127 * int(query[d])
			}
			best[d], other[d] = float32(code), float32(code)
			if d > 0 {
				best[d] += 0.4990234375 * query[d]
			}
		}
		// Of the sum of what was missed, another row has all but a small part in its codes.
		missed := 0.4990234375 * float64(dimensions-1)
		ahead := math.Floor(missed - missed/100)
		for d := 1; ahead > 0; d = 1 + d%(dimensions-1) {
			if code := other[d] + query[d]; code > -127 && code < 127 {
				other[d] = code
				ahead--
			}
		}
		s, found := newSet(dimensions), uuid.New()
		for range blockRows {
			s.put(uuid.New(), uuid.New(), knowledge.SourceText, stored(other))
		}
		s.put(found, uuid.New(), knowledge.SourceText, stored(best))
		hits, err := s.search(t.Context(), query, knowledge.Filter{}, 1)
		require.NoError(t, err)
		require.Equal(t, found, hits[0].Chunk, "round %d", round)
	}
}

// Scores beyond single precision are infinite, which the sum of what was stored is not.
func TestTiesOfInfiniteScoresAreThoseOfEveryRow(t *testing.T) {
	t.Parallel()
	for _, lengths := range [][2]float64{{1e22, 1e17}, {1e17, 1e22}} {
		m := &model{r: rand.New(rand.NewPCG(7, 7)), set: newSet(4), plain: plainSet{}}
		for range 500 {
			row := plainRow{m.id(), knowledge.SourceText, scaled([]float32{1, 1, 1, 1}, lengths[0])}
			chunk := m.id()
			m.plain[chunk] = row
			m.set.put(chunk, row.document, row.source, stored(row.vector))
		}
		query := scaled([]float32{1, 1, 1, 1}, lengths[1])
		hits, err := m.set.search(t.Context(), query, knowledge.Filter{}, 3)
		require.NoError(t, err)
		require.True(t, math.IsInf(hits[0].Score, 1))
		require.Equal(t, m.plain.everyRow(query, knowledge.Filter{}, 3), hits)
	}
}

// What was skipped is what makes a search fast.
func TestMostRowsAreNotComparedExactly(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	s := newSet(384)
	for range 20 * blockRows {
		s.put(uuid.New(), uuid.New(), knowledge.SourceText, stored(vectorKinds["random"](r, 384)))
	}
	for _, nonzero := range []int{12, 4000} {
		q := newQuestion(randomVector(r, 384, nonzero))
		scan := scan{set: s, question: &q, best: &leaders{set: s, limit: 100}}
		for b := range s.blocks {
			scan.block(b)
		}
		require.Less(t, scan.compared, len(s.rows)/10, "of %d rows", len(s.rows))
		require.Greater(t, scan.compared, 100)
	}
}

// No score is above the bound of its row, and every bound says something.
func TestABoundIsAboveTheScore(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 10))
	above := func(name string, row, query []float32) float64 {
		b, q := newBlock(len(row)), newQuestion(query)
		b.put(3, row)
		if q.incomparable {
			return 0
		}
		var sums [tileRows]int32
		coarse(&sums, b.tiles[0].codes, q.pairs)
		bound, score := q.bound(sums[3], &b.tiles[0].fits[3]), float64(q.score(row))
		require.GreaterOrEqual(t, bound, score, name)
		return bound - score
	}
	for name, vector := range vectorKinds {
		for range 400 {
			dimensions := 1 + r.IntN(400)
			by := above(name, vector(r, dimensions), vector(r, dimensions))
			if name == "random" {
				require.Less(t, by, 0.05, "%d dimensions", dimensions)
			}
		}
	}
	for range 400 {
		// The codes miss nothing: what is above the product of the coarse forms comes of rounding alone.
		row, query := make([]float32, 384), make([]float32, 384)
		for d := range row {
			row[d], query[d] = float32(r.IntN(128)), float32(r.IntN(1<<15))
		}
		row[0], query[0] = math.MaxInt8, math.MaxInt16
		above("whole", row, query)
	}
}

// The kernels compute what their definitions in Go do, to the last bit.
func TestKernelsAreTheirDefinitions(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 11))
	for range 300 {
		dimensions := 1 + r.IntN(400)
		codes := make([]int8, pairsOf(dimensions)*2*tileRows)
		var pairs []pair
		some, far := 1+r.IntN(3), r.IntN(2) == 0
		for i := range codes {
			codes[i] = int8(r.IntN(255) - 127)
			if far {
				codes[i] = 127
			}
		}
		for p := range pairsOf(dimensions) {
			if r.IntN(some) == 0 {
				steps := [2]int16{int16(r.IntN(65535) - 32767), int16(r.IntN(65535) - 32767)}
				if far {
					steps = [2]int16{math.MaxInt16, math.MaxInt16}
				}
				pairs = append(pairs, pair{int32(p * 2 * tileRows), steps})
			}
		}
		var want [tileRows]int32
		coarsePlain(&want, codes, pairs)
		for name, kernel := range coarseKernels() {
			got := [tileRows]int32{5}
			kernel(&got, codes, pairs)
			require.Equal(t, want, got, name)
		}

		query := normal(r, dimensions)
		q := newQuestion(query)
		var rows [together][]float32
		for i := range rows {
			rows[i] = normal(r, dimensions)
		}
		got := q.scores(&rows)
		var plain [together]float32
		q.scoresPlain(&plain, &rows, q.used)
		require.Equal(t, plain, got)
		for i, row := range rows {
			require.Equal(t, q.score(row), got[i])
		}
	}
}
