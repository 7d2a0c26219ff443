package vector_test

import (
	"math"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// qdrantAt is an index of its own with a point in it, on a server in memory.
func qdrantAt(t *testing.T, server *qdranttest.Server, key string) (*vector.Qdrant, knowledge.Scope, knowledge.Point) {
	t.Helper()
	q, err := vector.NewQdrant(server.URL, key)
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	scope := knowledge.Scope{Workspace: uuid.New(), Collection: knowledge.Collection{Name: "one", Dimensions: 2}}
	return q, scope, knowledge.Point{Chunk: uuid.New(), Document: uuid.New(), SourceType: "text", Vector: []float32{1, 0}}
}

// A server that forgets the filter, mixes up its points or gives no numbers is a fault, never a hit.
func TestQdrantAnswersAreFilteredByWorkspace(t *testing.T) {
	server := qdranttest.New(t)
	q, scope, point := qdrantAt(t, server, "")
	require.NoError(t, q.Ensure(t.Context(), scope.Collection))
	require.Equal(t, "workspace_id", server.TenantField(scope.Collection.Name), "each workspace has a graph of its own")
	require.NoError(t, q.Upsert(t.Context(), scope, []knowledge.Point{point}))
	for name, twist := range map[string]func(*qdrant.ScoredPoint){
		"another workspace":  func(p *qdrant.ScoredPoint) { p.Payload["workspace_id"] = qdrant.NewValueString(uuid.NewString()) },
		"no workspace":       func(p *qdrant.ScoredPoint) { delete(p.Payload, "workspace_id") },
		"no document":        func(p *qdrant.ScoredPoint) { delete(p.Payload, "document_id") },
		"a number for an id": func(p *qdrant.ScoredPoint) { p.Id = qdrant.NewIDNum(7) },
		"NaN":                func(p *qdrant.ScoredPoint) { p.Score = float32(math.NaN()) },
		"infinity":           func(p *qdrant.ScoredPoint) { p.Score = float32(math.Inf(1)) },
	} {
		server.Twist(twist)
		hits, err := q.Search(t.Context(), scope, []float32{1, 0}, knowledge.Filter{}, 10)
		require.Empty(t, hits, name)
		requireFault(t, err, knowledge.FaultProvider)
	}
	server.Twist(nil)
	hits, err := q.Search(t.Context(), scope, []float32{1, 0}, knowledge.Filter{}, 10)
	require.NoError(t, err)
	require.Equal(t, point.Chunk, hits[0].Chunk)
}

func TestQdrantRequestsCarryTheAPIKey(t *testing.T) {
	server := qdranttest.New(t)
	server.APIKey = "right"
	q, scope, _ := qdrantAt(t, server, "wrong")
	requireFault(t, q.Ensure(t.Context(), scope.Collection), knowledge.FaultRefused)
	q, scope, _ = qdrantAt(t, server, "right")
	require.NoError(t, q.Ensure(t.Context(), scope.Collection))
}

// A collection that is dropped behind our back is made again by the next that asks for it.
func TestDroppedCollectionIsCreatedAgain(t *testing.T) {
	server := qdranttest.New(t)
	q, scope, point := qdrantAt(t, server, "")
	require.NoError(t, q.Ensure(t.Context(), scope.Collection))
	server.Wipe()
	requireFault(t, q.Upsert(t.Context(), scope, []knowledge.Point{point}), knowledge.FaultRefused)
	require.NoError(t, q.Ensure(t.Context(), scope.Collection))
	require.NoError(t, q.Upsert(t.Context(), scope, []knowledge.Point{point}))
}

func TestQdrantAddressesAreChecked(t *testing.T) {
	for address, want := range map[string]string{
		"": "want an address", "localhost:6334": "want an address", "grpc://localhost": "want an address",
		"http://localhost:6333": "HTTP port", "http://localhost:x": "want an address",
	} {
		_, err := vector.NewQdrant(address, "")
		require.ErrorContains(t, err, want, address)
	}
	for _, address := range []string{"http://localhost", "https://qdrant.example:443"} {
		q, err := vector.NewQdrant(address, "")
		require.NoError(t, err, address)
		require.NoError(t, q.Close())
	}
}

// A collection that someone else made, or made again, for other vectors is refused, by what it differs in.
func TestCollectionOfOtherVectorsIsRefused(t *testing.T) {
	server := qdranttest.New(t)
	for name, other := range map[string]struct {
		params *qdrant.VectorParams
		kind   knowledge.FaultKind
		text   string
	}{
		"dimensions": {&qdrant.VectorParams{Size: 3, Distance: qdrant.Distance_Cosine}, knowledge.FaultDimensions, "has 3 dimensions, not 2"},
		"distance":   {&qdrant.VectorParams{Size: 2, Distance: qdrant.Distance_Euclid}, knowledge.FaultCollection, "compares vectors by Euclid, not by Cosine"},
		"named":      {nil, knowledge.FaultCollection, "has named vectors"},
	} {
		t.Run(name, func(t *testing.T) {
			q, scope, point := qdrantAt(t, server, "")
			scope.Collection.Name = name
			server.Make(name, other.params)
			err := q.Ensure(t.Context(), scope.Collection)
			requireFault(t, err, other.kind)
			require.ErrorContains(t, err, other.text)
			info, err := q.Info(t.Context(), scope.Collection)
			require.NoError(t, err)
			require.Contains(t, info.Trouble, other.text)

			scope.Collection.Name = name + " later"
			require.NoError(t, q.Ensure(t.Context(), scope.Collection))
			server.Make(scope.Collection.Name, other.params)
			if other.params.GetSize() != 2 { // otherwise nothing in the answer to an upsert shows it
				err = q.Upsert(t.Context(), scope, []knowledge.Point{point})
				requireFault(t, err, other.kind)
				require.ErrorContains(t, err, other.text)
			}
		})
	}
}

// An index that is back must be found within five seconds, however long it was away: gRPC's own pauses
// between attempts grow to two minutes. Each of the three connections tries eight times in about five
// seconds; with gRPC's pauses the eighth attempt comes after more than forty.
func TestQdrantIsTriedAtLeastAboutEverySecond(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var attempts atomic.Int64
	ended := make(chan error, 1)
	routine.Go(func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return nil // closed
			}
			attempts.Add(1)
			if err := conn.Close(); err != nil {
				return err
			}
		}
	}, func(err error) { ended <- err })
	q, scope, _ := qdrantAt(t, &qdranttest.Server{URL: "http://" + listener.Addr().String()}, "")
	require.Eventually(t, func() bool {
		_, err := q.Search(t.Context(), scope, []float32{1, 0}, knowledge.Filter{}, 1)
		require.Error(t, err)
		return attempts.Load() >= 24
	}, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, listener.Close())
	require.NoError(t, <-ended)
}

// Calls are left out while the index is away, and made again soon after it is back.
func TestSearchesSucceedSoonAfterQdrantIsBack(t *testing.T) {
	server := qdranttest.New(t)
	q, scope, point := qdrantAt(t, server, "")
	index := guarded(q)
	require.NoError(t, index.Ensure(t.Context(), scope.Collection))
	require.NoError(t, index.Upsert(t.Context(), scope, []knowledge.Point{point}))
	search := func() error {
		_, err := index.Search(t.Context(), scope, []float32{1, 0}, knowledge.Filter{}, 1)
		return err
	}
	require.NoError(t, search())
	server.Stop()
	for range 6 { // five failures in a row, and calls are left out
		requireFault(t, search(), knowledge.FaultUnreachable)
	}
	server.Restart(t)
	began := time.Now()
	require.Eventually(t, func() bool { return search() == nil }, 15*time.Second, 10*time.Millisecond)
	t.Logf("searches succeed %v after the server is back", time.Since(began).Round(time.Millisecond))
	require.Less(t, time.Since(began), 4500*time.Millisecond, "the promise is five seconds")
}

func TestADeletedWorkspaceIsForgottenInEveryCollectionOfOurs(t *testing.T) {
	t.Parallel()
	server := qdranttest.New(t)
	q, err := vector.NewQdrant(server.URL, "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	ctx, gone, stays := t.Context(), uuid.New(), uuid.New()
	collections := []knowledge.Collection{{Name: "one", Dimensions: 2}, {Name: "two", Dimensions: 3}}
	for _, c := range collections {
		require.NoError(t, q.Ensure(ctx, c))
		for _, workspace := range []uuid.UUID{gone, stays} {
			point := knowledge.Point{Chunk: uuid.New(), Document: uuid.New(), SourceType: "text", Vector: []float32{1, 0, 0}[:c.Dimensions]}
			require.NoError(t, q.Upsert(ctx, knowledge.Scope{Workspace: workspace, Collection: c}, []knowledge.Point{point}))
		}
	}
	server.Make("another's", nil)
	for range 2 {
		require.NoError(t, q.Forget(ctx, gone))
		for _, c := range collections {
			for workspace, want := range map[uuid.UUID]int64{gone: 0, stays: 1} {
				n, err := q.Count(ctx, knowledge.Scope{Workspace: workspace, Collection: c})
				require.NoError(t, err)
				require.Equal(t, want, n, c.Name)
			}
		}
	}
}
