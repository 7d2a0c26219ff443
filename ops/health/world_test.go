package health_test

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/events"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// world is a system that is well: a database behind a wire that can be cut, a feed, a vector index.
type world struct {
	t      *testing.T
	owner  *pgxpool.Pool
	wire   *wire
	main   *stores.Set
	opts   health.Options
	qdrant *qdranttest.Server
	space  tenants.Workspace
	feed   *events.Feed
}

// collection is where the world's one document has its vectors.
var collection = knowledge.Collection{Name: "c", Dimensions: 4}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := pgtest.New(t)
	w := &world{t: t, owner: db.OwnerPool(t)}
	target, err := url.Parse(db.URL)
	require.NoError(t, err)
	w.wire = newWire(t, target.Host)
	target.Host = w.wire.address()
	w.main = w.open(target.String(), 4)
	w.space, err = w.main.Tenants.CreateWorkspace(t.Context(), "w", 2)
	require.NoError(t, err)
	feed := events.NewFeed(events.Options{Store: w.main, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, feed.Start(t.Context()))
	w.feed = feed
	t.Cleanup(func() { _ = feed.Stop(context.Background()) })
	checks := w.open(target.String(), 8)
	index := vector.NewEmbedded(checks.Pool(), checks.Workspaces(), 1<<20)
	require.NoError(t, index.Ensure(t.Context(), collection))
	w.upsert(index)
	w.exec(`insert into workspace_models (workspace_id, provider, model, collection, dimensions) values ($1, 'hash', 'm', 'c', 4)`, w.space.ID)
	w.exec(`with d as (insert into documents (id, workspace_id, source_type, canonical_url, chunks) values (gen_random_uuid(), $1, 'text', 'u', 1) returning id)
		insert into chunks (id, workspace_id, document_id, revision, idx, text, tokens, search) select gen_random_uuid(), $1, id, 1, 0, 't', 1, '' from d`, w.space.ID)
	w.opts = health.Options{
		Store: checks, Main: w.main, Feed: feed.Status, LLM: health.LLM{Provider: "openai", Model: "m"},
		Vectors: &health.Vectors{Kind: "embedded", Index: index},
		Embed:   func(context.Context) error { return nil },
	}
	w.exec(`insert into workers (id, host, pid, version, queues) values ('alive', 'h', 1, 'v', '{"trials": 2, "tunes": 1}')`)
	require.Eventually(t, func() bool { return feed.Status().RelayDown == 0 }, 10*time.Second, 10*time.Millisecond)
	return w
}

func (w *world) open(url string, conns int32) *stores.Set {
	w.t.Helper()
	pool, err := store.OpenPool(w.t.Context(), store.PoolOptions{DatabaseURL: url, MaxConns: conns})
	require.NoError(w.t, err)
	// A pool whose connections hang in a cut wire takes its time to close.
	w.t.Cleanup(func() { w.wire.set(pass, 0); pool.Close() })
	return stores.New(pool, nil)
}

// exec changes the database as its owner, who does not go through the wire.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.owner.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// useQdrant puts a Qdrant in the place of the embedded index.
func (w *world) useQdrant() {
	w.t.Helper()
	w.qdrant = qdranttest.New(w.t)
	index, err := vector.NewQdrant(w.qdrant.URL, "")
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = index.Close() })
	w.opts.Vectors = &health.Vectors{Kind: "qdrant", Index: index}
	require.NoError(w.t, index.Ensure(w.t.Context(), collection))
	w.upsert(index)
}

// upsert puts the vector of the document's chunk into an index.
func (w *world) upsert(index knowledge.VectorIndex) {
	w.t.Helper()
	point := knowledge.Point{Chunk: uuid.New(), Document: uuid.New(), SourceType: "text", Vector: []float32{1, 0, 0, 0}}
	scope := knowledge.Scope{Workspace: w.space.ID, Collection: collection}
	require.NoError(w.t, index.Upsert(w.t.Context(), scope, []knowledge.Point{point}))
}

// hold begins a transaction that stays open until the test ends.
func (w *world) hold(sql string, args ...any) pgx.Tx {
	w.t.Helper()
	tx, err := w.owner.Begin(w.t.Context())
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
	return tx
}

// fillPool takes every connection of the main pool, makes somebody wait for so long, and gives them
// back when release is called.
func (w *world) fillPool(wait time.Duration) (release func()) {
	w.t.Helper()
	var held []*pgxpool.Conn
	for range w.main.PoolState().Max {
		conn, err := w.main.Pool().Acquire(w.t.Context())
		require.NoError(w.t, err)
		held = append(held, conn)
	}
	var waiters sync.WaitGroup
	if wait > 0 {
		for range 20 {
			waiters.Go(func() {
				if conn, err := w.main.Pool().Acquire(context.Background()); err == nil {
					conn.Release()
				}
			})
		}
		<-time.After(wait) // the waiting is the fault
	}
	release = sync.OnceFunc(func() {
		for _, conn := range held {
			conn.Release()
		}
		waiters.Wait()
	})
	w.t.Cleanup(release)
	return release
}

// The ways of a wire.
const (
	pass int32 = iota
	cut        // open connections break, new ones are refused
	hang       // nothing arrives any more
	slow       // everything arrives late
)

// wire carries connections to a server and can be made to fail.
type wire struct {
	listener net.Listener
	target   string
	way      atomic.Int32
	delay    atomic.Int64
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, target: target, open: map[net.Conn]struct{}{}}
	t.Cleanup(func() { _ = listener.Close(); w.breakAll() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) set(way int32, delay time.Duration) {
	w.delay.Store(int64(delay))
	w.way.Store(way)
	if way == cut {
		w.breakAll()
	}
}

func (w *wire) breakAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.open {
		_ = conn.Close()
	}
}

func (w *wire) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	if w.way.Load() == cut {
		return
	}
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	w.mu.Lock()
	w.open[client], w.open[server] = struct{}{}, struct{}{}
	w.mu.Unlock()
	go w.copy(server, client)
	w.copy(client, server)
}

func (w *wire) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if w.way.Load() == slow {
			<-time.After(time.Duration(w.delay.Load()))
		}
		for w.way.Load() == hang {
			<-time.After(5 * time.Millisecond)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.(interface{ CloseWrite() error }).CloseWrite()
			return
		}
	}
}
