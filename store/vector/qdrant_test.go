package vector_test

import (
	"math"
	"testing"

	"github.com/google/uuid"
	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
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
