package library

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
	"millrace/jobs/knowledge/bm25"
	"millrace/store"
)

// defaultWordMemory bounds the copies of words, unless KeepWords says another bound.
const defaultWordMemory = 512 << 20

// wordCache holds the words of the workspaces lately searched, at most most bytes of them.
type wordCache struct {
	mu     sync.Mutex
	most   int64
	copies *simplelru.LRU[uuid.UUID, *wordCopy]
	total  int64 // bytes of all copies
}

// wordCopy is the copy of one workspace's words. The search that finds it out of date reads the
// changes; others wait.
type wordCopy struct {
	mu        sync.RWMutex
	index     *bm25.Index // nil: nothing read yet
	version   int64
	revisions map[uuid.UUID]int64 // of the documents in the index
	bytes     int64               // as of the last reading; guarded by the cache's lock
}

func newWordCache() *wordCache {
	c := &wordCache{most: defaultWordMemory}
	// The bound is in bytes, so the number of copies has none; a positive number is valid.
	c.copies, _ = simplelru.NewLRU(math.MaxInt, func(_ uuid.UUID, evicted *wordCopy) { c.total -= evicted.bytes })
	return c
}

// KeepWords bounds the memory for copies of workspaces' words, in bytes. The workspace that is
// searched is kept whatever it takes.
func (s *Store) KeepWords(bytes int64) {
	s.words.mu.Lock()
	defer s.words.mu.Unlock()
	s.words.most = bytes
}

// search brings the workspace's copy up to at least the version, and searches it.
func (c *wordCache) search(ctx context.Context, s *Store, workspace uuid.UUID, version int64, words []string,
	filter knowledge.Filter, limit int,
) ([]knowledge.WordHit, error) {
	copy := c.copy(workspace)
	for {
		copy.mu.RLock()
		if copy.index != nil && copy.version >= version {
			defer copy.mu.RUnlock()
			return copy.index.Search(ctx, words, filter, limit)
		}
		copy.mu.RUnlock()
		if err := c.refresh(ctx, s, workspace, copy, version); err != nil {
			return nil, err
		}
	}
}

func (c *wordCache) copy(workspace uuid.UUID) *wordCopy {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.copies.Get(workspace)
	if !ok {
		found = &wordCopy{}
		c.copies.Add(workspace, found)
	}
	return found
}

func (c *wordCache) refresh(ctx context.Context, s *Store, workspace uuid.UUID, copy *wordCopy, version int64) error {
	copy.mu.Lock()
	defer copy.mu.Unlock()
	if copy.index != nil && copy.version >= version {
		return nil // another search was first
	}
	tx, err := s.db.Workspaces().BeginTx(ctx, pgx.TxOptions{
		// One moment for all that is read.
		BeginQuery: "begin isolation level repeatable read, read only; set local role millrace_workspace; " + store.EnterWorkspace(workspace),
	})
	if err != nil {
		return fmt.Errorf("begin: %w", store.Present(err))
	}
	err = errors.Join(copy.read(ctx, tx, workspace), tx.Rollback(context.WithoutCancel(ctx)))
	if err != nil {
		copy.index = nil // half of a change may be in it
		return fmt.Errorf("read the workspace's words: %w", err)
	}
	c.evictOver(workspace, copy)
	return nil
}

// read brings the copy up to what is committed: documents that are gone or have another revision go,
// new ones come.
func (k *wordCopy) read(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	if k.index == nil {
		k.index, k.revisions, k.version = bm25.New(), map[uuid.UUID]int64{}, 0
	}
	var version int64
	if err := tx.QueryRow(ctx, `select version from text_versions where workspace_id = $1`, workspace).Scan(&version); err != nil {
		return err
	}
	fresh, err := k.drop(ctx, tx, workspace)
	if err != nil {
		return err
	}
	if err := k.add(ctx, tx, workspace, fresh); err != nil {
		return err
	}
	k.index.Tidy()
	k.index.Trim()
	k.version = version
	return nil
}

// drop takes out what is gone or changed, and returns what is to come.
func (k *wordCopy) drop(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `select id, revision from documents where workspace_id = $1 and revision > 0`, workspace)
	if err != nil {
		return nil, err
	}
	var id uuid.UUID
	var revision int64
	now, fresh := make(map[uuid.UUID]int64, len(k.revisions)), []uuid.UUID{}
	if _, err := pgx.ForEachRow(rows, []any{&id, &revision}, func() error {
		now[id] = revision
		if k.revisions[id] != revision {
			fresh = append(fresh, id)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for id, revision := range k.revisions {
		if now[id] != revision {
			k.index.Remove(id)
		}
	}
	k.revisions = now
	return fresh, nil
}

// mostNamed is up to how many documents are named in the query for their chunks.
const mostNamed = 10_000

// add reads the chunks of documents into the index.
func (k *wordCopy) add(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, fresh []uuid.UUID) error {
	if len(fresh) == 0 {
		return nil
	}
	query, args := `select c.document_id, d.source_type, c.id, tsvectorsend(c.search)
		  from chunks c join documents d on d.id = c.document_id where c.workspace_id = $1`, []any{workspace}
	wanted := map[uuid.UUID]bool{}
	for _, id := range fresh {
		wanted[id] = true
	}
	if len(fresh) <= mostNamed && len(fresh) < len(k.revisions) {
		query, args = query+` and c.document_id = any ($2)`, append(args, fresh)
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var words []bm25.Word
	for rows.Next() {
		// The values are read in place: scanning would copy each.
		raw := rows.RawValues()
		document := uuid.UUID(raw[0])
		if !wanted[document] {
			continue
		}
		if words, err = readWords(words[:0], raw[3]); err != nil {
			return fmt.Errorf("chunk %s: %w", uuid.UUID(raw[2]), err)
		}
		k.index.Add(document, knowledge.SourceType(raw[1]), uuid.UUID(raw[2]), words)
	}
	return rows.Err()
}

var errWords = errors.New("its words are not in the form in which Postgres sends them")

// readWords reads a tsvector as Postgres sends it: the number of words, and for each its text, a zero,
// the number of its positions, and the positions with their weight in the two highest bits.
func readWords(words []bm25.Word, raw []byte) ([]bm25.Word, error) {
	if len(raw) < 4 {
		return nil, errWords
	}
	n := binary.BigEndian.Uint32(raw)
	raw = raw[4:]
	for range n {
		end := 0
		for end < len(raw) && raw[end] != 0 {
			end++
		}
		if end+3 > len(raw) {
			return nil, errWords
		}
		w := bm25.Word{Text: string(raw[:end])}
		positions := int(binary.BigEndian.Uint16(raw[end+1:]))
		raw = raw[end+3:]
		if 2*positions > len(raw) {
			return nil, errWords
		}
		for i := range positions {
			if raw[2*i]>>6 == 3 { // weight A
				w.Head++
			} else {
				w.Body++
			}
		}
		raw = raw[2*positions:]
		words = append(words, w)
	}
	return words, nil
}

// evictOver counts the copy's bytes, and evicts the least recently used others over the limit. A
// search that runs keeps what it holds.
func (c *wordCache) evictOver(workspace uuid.UUID, fresh *wordCopy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, _ := c.copies.Get(workspace); kept != fresh {
		return // evicted while it was read
	}
	size := fresh.index.Bytes()
	c.total += size - fresh.bytes
	fresh.bytes = size
	for c.total > c.most && c.copies.Len() > 1 {
		c.copies.RemoveOldest()
	}
}
