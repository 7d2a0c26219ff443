package vector_test

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// bench is an index as two processes see it, and workspaces that it may be used by.
type bench struct {
	a, b   knowledge.VectorIndex
	spaces []uuid.UUID
}

// implementations are what the suite runs on.
var implementations = map[string]func(t *testing.T) bench{
	"embedded":  embeddedBench,
	"in-memory": func(t *testing.T) bench { return qdrantBench(t, qdranttest.New(t).URL) },
	"qdrant": func(t *testing.T) bench {
		url := os.Getenv("QDRANT_TEST_URL")
		if url == "" {
			t.Skip("QDRANT_TEST_URL is not set: the suite has run on the server in memory, not on a real one")
		}
		return qdrantBench(t, url)
	},
}

func embeddedBench(t *testing.T) bench {
	db := pgtest.New(t)
	b := bench{}
	for _, index := range []*knowledge.VectorIndex{&b.a, &b.b} {
		pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 4})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		*index = guarded(vector.NewEmbedded(pool, pool, 1<<20)) // so little memory that copies have to go
		for _, name := range []string{"one", "two", "three"} {
			if len(b.spaces) < 3 {
				space, err := stores.New(pool, nil).Tenants.CreateWorkspace(t.Context(), name, 1)
				require.NoError(t, err)
				b.spaces = append(b.spaces, space.ID)
			}
		}
	}
	return b
}

func qdrantBench(t *testing.T, url string) bench {
	b := bench{spaces: []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}}
	for _, index := range []*knowledge.VectorIndex{&b.a, &b.b} {
		q, err := vector.NewQdrant(url, "")
		require.NoError(t, err)
		t.Cleanup(func() { _ = q.Close() })
		*index = guarded(q)
	}
	return b
}

func guarded(index knowledge.VectorIndex) knowledge.VectorIndex {
	return vector.NewGuarded(index, &ops.NewMetrics().Knowledge, vector.GuardOptions{})
}

// collection makes one of its own for the test: a real server outlives it.
func (b bench) collection(t *testing.T, dimensions int) knowledge.Collection {
	t.Helper()
	c := knowledge.Collection{Name: "millrace_test_" + uuid.NewString(), Dimensions: dimensions}
	require.NoError(t, b.a.Ensure(t.Context(), c))
	return c
}

func conform(t *testing.T, test func(t *testing.T, b bench)) {
	for name, open := range implementations {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func direction(r *rand.Rand, dimensions int) []float32 {
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// brute is the oracle: every point of the workspace compared one by one.
func brute(points map[uuid.UUID]knowledge.Point, query []float32, filter knowledge.Filter, limit int) []knowledge.Hit {
	var hits []knowledge.Hit
	for _, p := range points {
		if len(filter.SourceTypes) > 0 && !slices.Contains(filter.SourceTypes, p.SourceType) ||
			len(filter.Documents) > 0 && !slices.Contains(filter.Documents, p.Document) {
			continue
		}
		hits = append(hits, knowledge.Hit{Chunk: p.Chunk, Document: p.Document, Score: cosine(query, p.Vector)})
	}
	slices.SortFunc(hits, func(a, b knowledge.Hit) int {
		if order := cmp.Compare(b.Score, a.Score); order != 0 {
			return order
		}
		return bytes.Compare(a.Chunk[:], b.Chunk[:])
	})
	return hits[:min(limit, len(hits))]
}

func requireHits(t *testing.T, want, got []knowledge.Hit) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Chunk, got[i].Chunk, "hit %d: %v, not %v", i, got[i], want[i])
		require.Equal(t, want[i].Document, got[i].Document)
		require.InDelta(t, want[i].Score, got[i].Score, 1e-5)
	}
}

func requireFault(t *testing.T, err error, kind knowledge.FaultKind) {
	t.Helper()
	var fault *knowledge.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, kind, fault.Kind, "%v", err)
}

func TestSearchFindsTheNearest(t *testing.T) {
	conform(t, func(t *testing.T, b bench) {
		r := rand.New(rand.NewPCG(1, 1))
		c := b.collection(t, 32)
		scope := knowledge.Scope{Workspace: b.spaces[0], Collection: c}
		types := knowledge.SourceTypes()
		points := map[uuid.UUID]knowledge.Point{}
		var batch []knowledge.Point
		var documents []uuid.UUID
		for i := range 2500 {
			if i%50 == 0 {
				documents = append(documents, uuid.New())
			}
			p := knowledge.Point{
				Chunk: uuid.New(), Document: documents[len(documents)-1], Revision: 1,
				SourceType: types[i%len(types)], Vector: direction(r, 32),
			}
			points[p.Chunk], batch = p, append(batch, p)
		}
		require.NoError(t, b.a.Upsert(t.Context(), scope, batch))
		for i := range 40 {
			filter := knowledge.Filter{}
			if i%2 == 1 {
				filter.SourceTypes = types[i%5 : i%5+2]
			}
			if i%3 == 1 {
				filter.Documents = documents[i : i+5]
			}
			query := direction(r, 32)
			got, err := b.b.Search(t.Context(), scope, query, filter, 10)
			require.NoError(t, err)
			requireHits(t, brute(points, query, filter, 10), got)
		}
		for _, filter := range []knowledge.Filter{
			{SourceTypes: []knowledge.SourceType{"none"}}, {Documents: []uuid.UUID{uuid.New()}},
			{SourceTypes: types[:1], Documents: []uuid.UUID{uuid.New()}},
		} {
			got, err := b.a.Search(t.Context(), scope, direction(r, 32), filter, 10)
			require.NoError(t, err)
			require.Empty(t, got)
		}
		got, err := b.a.Search(t.Context(), scope, direction(r, 32), knowledge.Filter{}, 0)
		require.NoError(t, err)
		require.Empty(t, got)
		info, err := b.a.Info(t.Context(), c)
		require.NoError(t, err)
		require.True(t, info.Exists)
		require.Equal(t, "green", info.Status)
		require.EqualValues(t, 2500, info.Vectors)
		require.Positive(t, info.Segments)
	})
}

// Workspaces write, replace, delete and search in any order, through two processes. Each finds what it
// holds, exactly, and nothing of what the others hold.
func TestSearchFindsOnlyTheOwnWorkspace(t *testing.T) {
	conform(t, func(t *testing.T, b bench) {
		r := rand.New(rand.NewPCG(2, 2))
		c := b.collection(t, 8)
		indexes := []knowledge.VectorIndex{b.a, b.b}
		held := map[uuid.UUID]map[uuid.UUID]knowledge.Point{}
		documents := map[uuid.UUID][]uuid.UUID{}
		shared := direction(r, 8) // everyone has a point right there
		for _, space := range b.spaces {
			held[space], documents[space] = map[uuid.UUID]knowledge.Point{}, []uuid.UUID{uuid.New(), uuid.New()}
			p := knowledge.Point{Chunk: uuid.New(), Document: documents[space][0], SourceType: "text", Vector: shared}
			held[space][p.Chunk] = p
			require.NoError(t, b.a.Upsert(t.Context(), knowledge.Scope{Workspace: space, Collection: c}, []knowledge.Point{p}))
		}
		for step := range 150 {
			space := b.spaces[r.IntN(len(b.spaces))]
			scope, mine := knowledge.Scope{Workspace: space, Collection: c}, held[space]
			writer, reader := indexes[r.IntN(2)], indexes[r.IntN(2)]
			document := documents[space][r.IntN(2)]
			switch r.IntN(6) {
			case 0: // a delete of another's document touches nothing
				other := documents[b.spaces[r.IntN(len(b.spaces))]][r.IntN(2)]
				require.NoError(t, writer.DeleteRevisions(t.Context(), scope, other, knowledge.AllRevisions))
				for id, p := range mine {
					if p.Document == other {
						delete(mine, id)
					}
				}
			case 1:
				below := int64(r.IntN(step + 1))
				require.NoError(t, writer.DeleteRevisions(t.Context(), scope, document, below))
				for id, p := range mine {
					if p.Document == document && p.Revision < below {
						delete(mine, id)
					}
				}
			case 2:
				if r.IntN(8) == 0 {
					require.NoError(t, writer.DeleteWorkspace(t.Context(), scope))
					clear(mine)
				}
			default:
				var batch []knowledge.Point
				for range r.IntN(20) {
					p := knowledge.Point{
						Chunk: uuid.New(), Document: document, Revision: int64(step), SourceType: "text", Vector: direction(r, 8),
					}
					for id := range mine {
						if r.IntN(3) == 0 {
							p.Chunk = id // replaced
						}
						break
					}
					batch = append(batch, p)
					mine[p.Chunk] = p
				}
				require.NoError(t, writer.Upsert(t.Context(), scope, batch))
			}
			query := direction(r, 8)
			if step%2 == 0 {
				query = shared
			}
			got, err := reader.Search(t.Context(), scope, query, knowledge.Filter{}, 1000)
			require.NoError(t, err)
			requireHits(t, brute(mine, query, knowledge.Filter{}, 1000), got)
			n, err := reader.Count(t.Context(), scope)
			require.NoError(t, err)
			require.EqualValues(t, len(mine), n, "points of the workspace")
		}
		info, err := b.a.Info(t.Context(), c)
		require.NoError(t, err)
		require.EqualValues(t, len(held[b.spaces[0]])+len(held[b.spaces[1]])+len(held[b.spaces[2]]), info.Vectors)
	})
}

func TestInvalidPointsAreRefusedWhole(t *testing.T) {
	conform(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		c := b.collection(t, 4)
		require.NoError(t, b.a.Ensure(ctx, c))
		require.NoError(t, b.b.Ensure(ctx, c))
		requireFault(t, b.b.Ensure(ctx, knowledge.Collection{Name: c.Name, Dimensions: 5}), knowledge.FaultDimensions)

		scope := knowledge.Scope{Workspace: b.spaces[0], Collection: c}
		good := knowledge.Point{Chunk: uuid.New(), Document: uuid.New(), SourceType: "text", Vector: []float32{1, 2, 3, 4}}
		for _, test := range []struct {
			vector []float32
			kind   knowledge.FaultKind
		}{
			{[]float32{1, 2, 3}, knowledge.FaultDimensions},
			{[]float32{1, 2, 3, 4, 5}, knowledge.FaultDimensions},
			{nil, knowledge.FaultDimensions},
			{[]float32{1, 2, 3, float32(math.NaN())}, knowledge.FaultRefused},
			{[]float32{1, 2, 3, float32(math.Inf(1))}, knowledge.FaultRefused},
		} {
			bad := good
			bad.Chunk, bad.Vector = uuid.New(), test.vector
			requireFault(t, b.a.Upsert(ctx, scope, []knowledge.Point{good, bad}), test.kind)
		}
		got, err := b.a.Search(ctx, scope, good.Vector, knowledge.Filter{}, 10)
		require.NoError(t, err)
		require.Empty(t, got, "nothing of a refused batch is written")
		_, err = b.a.Search(ctx, scope, []float32{1}, knowledge.Filter{}, 10)
		requireFault(t, err, knowledge.FaultDimensions)

		nobody := knowledge.Scope{Collection: c}
		requireFault(t, b.a.Upsert(ctx, nobody, []knowledge.Point{good}), knowledge.FaultRefused)
		requireFault(t, b.a.DeleteRevisions(ctx, nobody, good.Document, 1), knowledge.FaultRefused)
		requireFault(t, b.a.DeleteWorkspace(ctx, nobody), knowledge.FaultRefused)
		_, err = b.a.Search(ctx, nobody, good.Vector, knowledge.Filter{}, 10)
		requireFault(t, err, knowledge.FaultRefused)

		_, err = b.a.Count(ctx, nobody)
		requireFault(t, err, knowledge.FaultRefused)

		nowhere := knowledge.Scope{Workspace: b.spaces[0], Collection: knowledge.Collection{Name: "millrace_none_" + uuid.NewString(), Dimensions: 4}}
		requireFault(t, b.a.Upsert(ctx, nowhere, []knowledge.Point{good}), knowledge.FaultRefused)
		got, err = b.a.Search(ctx, nowhere, good.Vector, knowledge.Filter{}, 10)
		require.NoError(t, err)
		require.Empty(t, got)
		n, err := b.a.Count(ctx, nowhere)
		require.NoError(t, err)
		require.Zero(t, n)
		info, err := b.a.Info(ctx, knowledge.Collection{Name: c.Name, Dimensions: 5})
		require.NoError(t, err)
		require.Contains(t, info.Trouble, "has 4 dimensions, not 5")
		info, err = b.a.Info(ctx, c)
		require.NoError(t, err)
		require.Empty(t, info.Trouble)
		info, err = b.a.Info(ctx, nowhere.Collection)
		require.NoError(t, err)
		require.False(t, info.Exists)
	})
}

func TestEveryCallCanBeRepeated(t *testing.T) {
	conform(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		scope := knowledge.Scope{Workspace: b.spaces[0], Collection: b.collection(t, 2)}
		document := uuid.New()
		old := knowledge.Point{Chunk: uuid.New(), Document: document, Revision: 1, SourceType: "text", Vector: []float32{1, 0}}
		fresh := knowledge.Point{Chunk: uuid.New(), Document: document, Revision: 2, SourceType: "text", Vector: []float32{1, 1}}
		found := func() []knowledge.Hit {
			hits, err := b.b.Search(ctx, scope, []float32{1, 0}, knowledge.Filter{}, 10)
			require.NoError(t, err)
			return hits
		}
		for range 2 {
			require.NoError(t, b.a.Upsert(ctx, scope, []knowledge.Point{old, old}))
			require.NoError(t, b.a.Upsert(ctx, scope, []knowledge.Point{fresh}))
			require.Len(t, found(), 2)
		}
		for range 2 {
			require.NoError(t, b.a.DeleteRevisions(ctx, scope, document, 2))
			require.Equal(t, fresh.Chunk, found()[0].Chunk)
			require.Len(t, found(), 1)
		}
		require.NoError(t, b.a.Upsert(ctx, scope, []knowledge.Point{old}))
		require.Len(t, found(), 2, "what was deleted can come again")
		for range 2 {
			require.NoError(t, b.a.DeleteWorkspace(ctx, scope))
			require.Empty(t, found())
		}
		require.NoError(t, b.a.Upsert(ctx, scope, nil))
		require.NoError(t, b.a.Upsert(ctx, scope, []knowledge.Point{fresh}))
		require.Len(t, found(), 1)
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	conform(t, func(t *testing.T, b bench) {
		scope := knowledge.Scope{Workspace: b.spaces[0], Collection: b.collection(t, 2)}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.a.Search(ctx, scope, []float32{1, 0}, knowledge.Filter{}, 1)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, b.a.DeleteWorkspace(ctx, scope), context.Canceled)
	})
}
