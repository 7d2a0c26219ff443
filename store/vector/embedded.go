package vector

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/jobs/knowledge"
)

const embeddedPart = "vector index embedded"

// Embedded keeps vectors in Postgres and a copy of what is searched in memory. Every search asks
// Postgres for the version of the workspace's set and reads what is newer first, so processes agree
// and a search sees what was committed before it began.
type Embedded struct {
	pool   *pgxpool.Pool
	spaces *pgxpool.Pool // of workspaces' transactions
	cache  *cache
}

// NewEmbedded makes an index on the pool whose copies take at most about memory bytes; the least
// recently used ones go first. Transactions of workspaces run on a pool of their own, which may be the same.
func NewEmbedded(pool, spaces *pgxpool.Pool, memory int64) *Embedded {
	return &Embedded{pool: pool, spaces: spaces, cache: newCache(memory)}
}

// Ensure implements knowledge.VectorIndex.
func (e *Embedded) Ensure(ctx context.Context, c knowledge.Collection) error {
	_, err := e.pool.Exec(ctx, `
		insert into vector_collections (name, dimensions) values ($1, $2) on conflict do nothing`, c.Name, c.Dimensions)
	if err != nil {
		return embeddedFault("ensure collection", err)
	}
	found, err := e.dimensions(ctx, c.Name)
	if err != nil {
		return embeddedFault("ensure collection", err)
	}
	if found != c.Dimensions {
		return dimensionsFault(embeddedPart, c.Name, found, c.Dimensions)
	}
	return nil
}

// dimensions is pgx.ErrNoRows for a collection that was never made.
func (e *Embedded) dimensions(ctx context.Context, collection string) (int, error) {
	var n int
	err := e.pool.QueryRow(ctx, `select dimensions from vector_collections where name = $1`, collection).Scan(&n)
	return n, err
}

// Upsert implements knowledge.VectorIndex.
func (e *Embedded) Upsert(ctx context.Context, scope knowledge.Scope, points []knowledge.Point) error {
	if err := checkPoints(embeddedPart, scope, points); err != nil || len(points) == 0 {
		return err
	}
	rows := newColumns(points)
	err := e.change(ctx, scope, func(tx pgx.Tx, version int64) error {
		var live, dead int64
		err := tx.QueryRow(ctx, `
			select count(embedding), count(*) - count(embedding) from vectors
			 where workspace_id = $1 and collection = $2 and chunk_id = any ($3)`,
			scope.Workspace, scope.Collection.Name, rows.chunks).Scan(&live, &dead)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into vectors (workspace_id, collection, version, chunk_id, document_id, revision, source_type, embedding)
			select $1, $2, $3, u.* from unnest($4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::bytea[]) u
			on conflict (workspace_id, collection, chunk_id) do update
			   set version = excluded.version, document_id = excluded.document_id, revision = excluded.revision,
			       source_type = excluded.source_type, embedding = excluded.embedding`,
			scope.Workspace, scope.Collection.Name, version,
			rows.chunks, rows.documents, rows.revisions, rows.sources, rows.embeddings)
		if err != nil {
			return err
		}
		return e.count(ctx, tx, scope, int64(len(rows.chunks))-live, -dead)
	})
	return embeddedFault("upsert", err)
}

// DeleteRevisions implements knowledge.VectorIndex.
func (e *Embedded) DeleteRevisions(ctx context.Context, scope knowledge.Scope, document uuid.UUID, below int64) error {
	if err := checkScope(embeddedPart, scope); err != nil {
		return err
	}
	err := e.change(ctx, scope, func(tx pgx.Tx, version int64) error {
		tag, err := tx.Exec(ctx, `
			update vectors set embedding = null, version = $3
			 where workspace_id = $1 and collection = $2 and document_id = $4 and revision < $5 and embedding is not null`,
			scope.Workspace, scope.Collection.Name, version, document, below)
		if err != nil {
			return err
		}
		return e.count(ctx, tx, scope, -tag.RowsAffected(), tag.RowsAffected())
	})
	return embeddedFault("delete document", err)
}

// DeleteWorkspace implements knowledge.VectorIndex. The set's row stays: a version must not come
// again.
func (e *Embedded) DeleteWorkspace(ctx context.Context, scope knowledge.Scope) error {
	if err := checkScope(embeddedPart, scope); err != nil {
		return err
	}
	err := e.change(ctx, scope, func(tx pgx.Tx, version int64) error {
		_, err := tx.Exec(ctx, `delete from vectors where workspace_id = $1 and collection = $2`,
			scope.Workspace, scope.Collection.Name)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update vector_sets set live = 0, dead = 0, floor = version where workspace_id = $1 and collection = $2`,
			scope.Workspace, scope.Collection.Name)
		return err
	})
	return embeddedFault("delete workspace", err)
}

// Forget implements knowledge.VectorIndex. All that there is are rows, which go with the workspace's others.
func (e *Embedded) Forget(context.Context, uuid.UUID) error { return nil }

// errNoCollection says that nobody has made the collection.
var errNoCollection = errors.New("the collection does not exist")

// change runs fn with the set's next version. The set's row stays locked until the commit, so that
// versions become visible in their order.
func (e *Embedded) change(ctx context.Context, scope knowledge.Scope, fn func(tx pgx.Tx, version int64) error) error {
	return e.inWorkspace(ctx, "", scope.Workspace, func(tx pgx.Tx) error {
		var version int64
		err := tx.QueryRow(ctx, `
			insert into vector_sets as s (workspace_id, collection, version)
			select $1, name, 1 from vector_collections where name = $2 and dimensions = $3
			on conflict (workspace_id, collection) do update set version = s.version + 1
			returning version`,
			scope.Workspace, scope.Collection.Name, scope.Collection.Dimensions).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoCollection
		}
		if err != nil {
			return err
		}
		return fn(tx, version)
	})
}

// mostDead is how many deleted rows a set keeps at least before they are cleared away.
const mostDead = 10_000

// count keeps the set's tally, and clears deleted rows away once they are many: a copy older than
// that is read again in full.
func (e *Embedded) count(ctx context.Context, tx pgx.Tx, scope knowledge.Scope, live, dead int64) error {
	var clear bool
	err := tx.QueryRow(ctx, `
		update vector_sets set live = live + $3, dead = dead + $4
		 where workspace_id = $1 and collection = $2
		returning dead > greatest(live / 2, $5)`,
		scope.Workspace, scope.Collection.Name, live, dead, mostDead).Scan(&clear)
	if err != nil || !clear {
		return err
	}
	_, err = tx.Exec(ctx, `delete from vectors where workspace_id = $1 and collection = $2 and embedding is null`,
		scope.Workspace, scope.Collection.Name)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update vector_sets set dead = 0, floor = version where workspace_id = $1 and collection = $2`,
		scope.Workspace, scope.Collection.Name)
	return err
}

// Count implements knowledge.VectorIndex.
func (e *Embedded) Count(ctx context.Context, scope knowledge.Scope) (int64, error) {
	if err := checkScope(embeddedPart, scope); err != nil {
		return 0, err
	}
	var live int64
	err := e.inWorkspace(ctx, "read only", scope.Workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select count(*) from vectors where workspace_id = $1 and collection = $2 and embedding is not null`,
			scope.Workspace, scope.Collection.Name).Scan(&live)
	})
	return live, embeddedFault("count", err)
}

// Info implements knowledge.VectorIndex. A set counts as a segment.
func (e *Embedded) Info(ctx context.Context, c knowledge.Collection) (knowledge.CollectionInfo, error) {
	info := knowledge.CollectionInfo{}
	tx, err := e.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: "begin read only; set local role millrace_fleet"})
	if err != nil {
		return info, embeddedFault("info", err)
	}
	defer rollback(ctx, tx)
	var dimensions int
	err = tx.QueryRow(ctx, `
		select exists (select from vector_collections where name = $1), coalesce(sum(live), 0)::bigint, count(*),
		       coalesce((select dimensions from vector_collections where name = $1), 0)
		  from vector_sets where collection = $1 and live > 0`, c.Name).Scan(&info.Exists, &info.Vectors, &info.Segments, &dimensions)
	if err != nil {
		return info, embeddedFault("info", err)
	}
	if info.Exists {
		info.Status = "green"
		if dimensions != c.Dimensions {
			info.Trouble = dimensionsFault(embeddedPart, c.Name, dimensions, c.Dimensions).Err.Error()
		}
	}
	return info, nil
}

// Search implements knowledge.VectorIndex.
func (e *Embedded) Search(ctx context.Context, scope knowledge.Scope, vector []float32, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	if err := checkScope(embeddedPart, scope); err != nil {
		return nil, err
	}
	if len(vector) != scope.Collection.Dimensions {
		return nil, dimensionsFault(embeddedPart, scope.Collection.Name, scope.Collection.Dimensions, len(vector))
	}
	hits, err := e.cache.search(ctx, e, scope, knowledge.Normalized(vector), filter, limit)
	if err != nil {
		return nil, embeddedFault("search", err)
	}
	return hits, nil
}

// inWorkspace runs fn in a transaction that sees only the workspace's rows.
func (e *Embedded) inWorkspace(ctx context.Context, mode string, workspace uuid.UUID, fn func(pgx.Tx) error) error {
	// One round trip for both; a UUID's text needs no quoting. It fails when the workspace is not there.
	tx, err := e.spaces.BeginTx(ctx, pgx.TxOptions{
		BeginQuery: "begin " + mode + "; set local role millrace_workspace; select enter_workspace('" + workspace.String() + "')",
	})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer rollback(ctx, tx)
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rollback ends tx even when ctx is already done; after a commit it does nothing.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// embeddedFault wraps what Postgres says; nil for nil.
func embeddedFault(what string, err error) error {
	if err == nil {
		return nil
	}
	fault := knowledge.AsFault(embeddedPart, fmt.Errorf("%s: %w", what, err))
	if errors.Is(err, errNoCollection) {
		fault.Kind = knowledge.FaultRefused
	}
	return fault
}

// columns are points as unnest takes them.
type columns struct {
	chunks, documents []uuid.UUID
	revisions         []int64
	sources           []string
	embeddings        [][]byte
}

// newColumns keeps the last of the points of one chunk.
func newColumns(points []knowledge.Point) columns {
	var c columns
	at := make(map[uuid.UUID]int, len(points))
	for _, p := range points {
		i, ok := at[p.Chunk]
		if !ok {
			i = len(c.chunks)
			at[p.Chunk] = i
			c.chunks, c.documents = append(c.chunks, p.Chunk), append(c.documents, p.Document)
			c.revisions, c.sources = append(c.revisions, p.Revision), append(c.sources, string(p.SourceType))
			c.embeddings = append(c.embeddings, nil)
		}
		c.documents[i], c.revisions[i], c.sources[i] = p.Document, p.Revision, string(p.SourceType)
		c.embeddings[i] = encode(knowledge.Normalized(p.Vector))
	}
	return c
}

func encode(vector []float32) []byte {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}
