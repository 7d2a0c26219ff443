package vector

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
)

// cache holds the sets lately searched, at most most bytes of them.
type cache struct {
	most   int64
	mu     sync.Mutex
	copies *simplelru.LRU[copyKey, *copied]
	total  int64 // bytes of all copies
}

type copyKey struct {
	workspace  uuid.UUID
	collection string
}

// copied is the copy of one set. The search that finds it out of date reads the changes; others wait.
type copied struct {
	mu      sync.RWMutex
	set     *set // nil: nothing read yet
	version int64
	bytes   int64 // as of the last reading; guarded by the cache's lock
}

func newCache(most int64) *cache {
	c := &cache{most: most}
	// The bound is in bytes, so the number of copies has none; a positive number is valid.
	c.copies, _ = simplelru.NewLRU(math.MaxInt, func(_ copyKey, evicted *copied) { c.total -= evicted.bytes })
	return c
}

func (c *cache) search(ctx context.Context, e *Embedded, scope knowledge.Scope, vector []float32,
	filter knowledge.Filter, limit int,
) ([]knowledge.Hit, error) {
	version, err := e.version(ctx, scope)
	if err != nil || version == 0 {
		return nil, err
	}
	key := copyKey{scope.Workspace, scope.Collection.Name}
	copy := c.copy(key)
	for {
		copy.mu.RLock()
		if copy.set != nil && copy.version >= version {
			defer copy.mu.RUnlock()
			return copy.set.search(ctx, vector, filter, limit)
		}
		copy.mu.RUnlock()
		if err := c.refresh(ctx, e, scope, key, copy, version); err != nil {
			return nil, err
		}
	}
}

// version reads the set's version; 0 when there is no set. It is one round trip: the statements of
// a batch are one transaction.
func (e *Embedded) version(ctx context.Context, scope knowledge.Scope) (int64, error) {
	var version int64
	batch := &pgx.Batch{}
	batch.Queue(`select set_config('role', 'millrace_workspace', true), enter_workspace($1)`, scope.Workspace)
	batch.Queue(`select version from vector_sets where workspace_id = $1 and collection = $2`,
		scope.Workspace, scope.Collection.Name).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err := e.spaces.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("read version: %w", err)
	}
	return version, nil
}

func (c *cache) copy(key copyKey) *copied {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.copies.Get(key)
	if !ok {
		found = &copied{}
		c.copies.Add(key, found)
	}
	return found
}

// refresh brings a copy up to at least the version.
func (c *cache) refresh(ctx context.Context, e *Embedded, scope knowledge.Scope, key copyKey, copy *copied, version int64) error {
	copy.mu.Lock()
	defer copy.mu.Unlock()
	if copy.set != nil && copy.version >= version {
		return nil // another search was first
	}
	err := e.inWorkspace(ctx, "isolation level repeatable read, read only", scope.Workspace, func(tx pgx.Tx) error {
		return copy.read(ctx, tx, scope)
	})
	if copy.set != nil {
		c.evictOver(key, copy)
	}
	if err != nil {
		return fmt.Errorf("read vectors: %w", err)
	}
	return nil
}

// read reads what is newer than the copy, or everything when what was deleted since is forgotten.
// It reads in the order of versions, so that a search which runs out of time leaves what it has
// read to the next.
func (k *copied) read(ctx context.Context, tx pgx.Tx, scope knowledge.Scope) error {
	var version, floor int64
	err := tx.QueryRow(ctx, `select version, floor from vector_sets where workspace_id = $1 and collection = $2`,
		scope.Workspace, scope.Collection.Name).Scan(&version, &floor)
	if err != nil {
		return err
	}
	if k.set == nil || k.version < floor {
		k.set, k.version = newSet(scope.Collection.Dimensions), 0
	}
	// Sorting would write every vector out; the index has them in order.
	if _, err := tx.Exec(ctx, `set local enable_sort = off`); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		select version, chunk_id, document_id, source_type, embedding from vectors
		 where workspace_id = $1 and collection = $2 and version > $3 and (embedding is not null or $3 > 0)
		 order by version`,
		scope.Workspace, scope.Collection.Name, k.version)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		// The values are read in place: scanning would copy each vector.
		raw := rows.RawValues()
		k.version = int64(binary.BigEndian.Uint64(raw[0])) - 1 // more of this version may follow
		chunk, document, source, embedding := uuid.UUID(raw[1]), uuid.UUID(raw[2]), raw[3], raw[4]
		switch {
		case embedding == nil:
			k.set.remove(chunk)
		case len(embedding) != 4*k.set.dimensions:
			return fmt.Errorf("the vector of chunk %s has %d bytes, not %d", chunk, len(embedding), 4*k.set.dimensions)
		default:
			k.set.put(chunk, document, knowledge.SourceType(source), embedding)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	k.version = version
	return nil
}

// evictOver counts the copy's bytes, and evicts the least recently used others over the limit. A
// search that runs keeps what it holds.
func (c *cache) evictOver(key copyKey, fresh *copied) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, _ := c.copies.Get(key); kept != fresh {
		return // evicted while it was read
	}
	size := fresh.set.bytes()
	c.total += size - fresh.bytes
	fresh.bytes = size
	for c.total > c.most && c.copies.Len() > 1 {
		c.copies.RemoveOldest()
	}
}
