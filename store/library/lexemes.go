package library

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"millrace/store"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	lexemeSample = 500 // chunks that a workspace's frequencies are estimated from
	lexemesKept  = 64  // workspaces
	lexemesFresh = 10 * time.Minute
	// lexemesSoon is for a workspace that fits the sample: it is quickly read, and soon another.
	lexemesSoon = 15 * time.Second
)

// lexeme is a word of a question as the full-text index has it.
type lexeme struct {
	text   string
	share  float64 // of the workspace's chunks that hold it, about
	chunks float64 // how many that is
	idf    float64
}

// lexemes keeps how frequent words are in the workspaces lately searched.
type lexemes struct {
	mu  sync.Mutex
	all map[uuid.UUID]*frequencies
}

// frequencies count the chunks of a sample that hold a word.
type frequencies struct {
	chunks int // of the workspace
	sample int
	in     map[string]int
	until  time.Time
}

func newLexemes() *lexemes { return &lexemes{all: map[uuid.UUID]*frequencies{}} }

// of are the lexemes of the question, rarest first.
func (l *lexemes) of(ctx context.Context, s *Store, workspace uuid.UUID, question string) ([]lexeme, error) {
	var texts []string
	err := s.db.Pool().QueryRow(ctx, `
		select coalesce(array_agg(lexeme), '{}') from unnest(to_tsvector('english', $1))`, question).Scan(&texts)
	if err != nil {
		return nil, fmt.Errorf("read the question's words: %w", err)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	known, err := l.frequencies(ctx, s, workspace)
	if err != nil {
		return nil, err
	}
	words := make([]lexeme, len(texts))
	for i, text := range texts {
		words[i] = known.lexeme(text)
	}
	slices.SortFunc(words, func(a, b lexeme) int {
		if order := cmp.Compare(a.chunks, b.chunks); order != 0 {
			return order
		}
		return cmp.Compare(a.text, b.text)
	})
	return words[:min(len(words), mostLexemes)], nil
}

// lexeme estimates a word. One that the sample does not hold counts as half a chunk of it.
func (f *frequencies) lexeme(text string) lexeme {
	share := 0.0
	if f.sample > 0 {
		share = max(float64(f.in[text]), 0.5) / float64(f.sample)
	}
	chunks := share * float64(f.chunks)
	return lexeme{text: text, share: share, chunks: chunks, idf: math.Log(1 + (float64(f.chunks)-chunks+0.5)/(chunks+0.5))}
}

func (l *lexemes) frequencies(ctx context.Context, s *Store, workspace uuid.UUID) (*frequencies, error) {
	now := time.Now()
	l.mu.Lock()
	known := l.all[workspace]
	l.mu.Unlock()
	if known != nil && now.Before(known.until) {
		return known, nil
	}
	fresh, err := s.sampleLexemes(ctx, workspace)
	if err != nil {
		return nil, err
	}
	fresh.until = now.Add(lexemesFresh)
	if fresh.chunks <= lexemeSample {
		fresh.until = now.Add(lexemesSoon)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for other := range l.all {
		if len(l.all) < lexemesKept {
			break
		}
		delete(l.all, other) // any: it is quickly read again
	}
	l.all[workspace] = fresh
	return fresh, nil
}

// sampleLexemes counts words in a random part of the workspace's chunks. The last bits of their ids
// are random, so a part of the ids is a part of the chunks.
func (s *Store) sampleLexemes(ctx context.Context, workspace uuid.UUID) (*frequencies, error) {
	f := &frequencies{in: map[string]int{}}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `select coalesce(sum(chunks), 0) from documents where workspace_id = $1`, workspace).Scan(&f.chunks)
		if err != nil || f.chunks == 0 {
			return err
		}
		const parts = 1 << 16
		part := min(parts, (parts*lexemeSample+f.chunks-1)/f.chunks)
		rows, err := tx.Query(ctx, `
			with sample as materialized (
			     select search from chunks
			      where workspace_id = $1 and ('x' || right(id::text, 4))::bit(16)::int < $2)
			select null, count(*) from sample
			union all
			select lexeme, count(*) from sample, unnest(tsvector_to_array(search)) lexeme group by lexeme`, workspace, part)
		if err != nil {
			return err
		}
		var text *string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&text, &n}, func() error {
			if text == nil {
				f.sample = n
			} else {
				f.in[*text] = n
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sample the workspace's words: %w", err)
	}
	return f, nil
}
