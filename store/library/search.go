package library

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/store"
)

const (
	// mostRanked bounds the chunks whose rank one search computes, at 3 µs each.
	mostRanked = 5000
	// mostLexemes bounds the words of a question that count: the rarest.
	mostLexemes = 24
)

// fullTextWeights are what a word counts in a chunk's text, and in its title and heading.
const fullTextWeights = `{0.4,0.4,0.4,1}`

// MatchText finds the chunks of the workspace that share the rarest words with the question,
// best first. A hit's score is from 0 to 1: a word counts by its rarity in the workspace (inverse
// document frequency, estimated from a sample) times Postgres's rank of it in the chunk.
//
// Row-level security would keep the full-text index from being used, as Postgres's text operators
// are not proof against leaks. So the search runs as the fleet with the workspace as a condition,
// and returns ids alone: what they stand for is read under the policy, by Passages.
func (s *Store) MatchText(ctx context.Context, workspace uuid.UUID, question string, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	words, err := s.lexemes.of(ctx, s, workspace, question)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	query, args := matchQuery(workspace, words, filter, limit)
	var hits []knowledge.Hit
	err = s.db.InTx(ctx, "begin; set local role millrace_fleet; set local enable_seqscan = off", func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		hits, err = pgx.CollectRows(rows, pgx.RowToStructByPos[knowledge.Hit])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("match text: %w", err)
	}
	return hits, nil
}

// matchQuery ranks the chunks that hold the driving words by all words.
func matchQuery(workspace uuid.UUID, words []lexeme, filter knowledge.Filter, limit int) (string, []any) {
	sources := make([]string, len(filter.SourceTypes))
	for i, source := range filter.SourceTypes {
		sources[i] = string(source)
	}
	args := []any{
		workspace, tsquery("workspace:"+workspace.String()) + " & (" + drivers(words, mostRanked) + ")",
		append([]uuid.UUID{}, filter.Documents...), sources, mostRanked, limit, fullTextWeights,
	}
	var rank []string
	var total float64
	for _, w := range words {
		total += w.idf
		args = append(args, w.idf, tsquery(w.text))
		rank = append(rank, fmt.Sprintf("$%d::float8 * ts_rank($7::float4[], search, $%d::tsquery)", len(args)-1, len(args)))
	}
	args = append(args, total)
	return fmt.Sprintf(`
		select id, document_id, (%s) / $%d::float8 as score
		  from (select id, document_id, search from chunks
		         where search || array_to_tsvector(array['workspace:' || workspace_id]) @@ $2::tsquery
		           and workspace_id = $1
		           and (cardinality($3::uuid[]) = 0 or document_id = any ($3))
		           and (cardinality($4::text[]) = 0 or document_id in (
		                select d.id from documents d where d.workspace_id = $1 and d.source_type = any ($4)))
		         limit $5 offset 0) c
		 order by score desc, id
		 limit $6`, strings.Join(rank, " + "), len(args)), args
}

// drivers are the words that a chunk must hold to be ranked at all: any of the rarest that are
// together in no more than most chunks; or, when even the rarest is in more, as many of the rarest
// at once as it takes.
func drivers(words []lexeme, most float64) string {
	any, sum := []string{}, 0.0
	for _, w := range words {
		if sum += w.chunks; sum > most {
			break
		}
		any = append(any, tsquery(w.text))
	}
	if len(any) > 0 {
		return strings.Join(any, " | ")
	}
	var all []string
	expected := words[0].chunks
	for i, w := range words {
		if i > 0 {
			expected *= w.share
		}
		all = append(all, tsquery(w.text))
		if expected <= most {
			break
		}
	}
	return strings.Join(all, " & ")
}

// tsquery quotes a word, so that nothing in it is an operator.
func tsquery(word string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(word, `\`, `\\`), "'", "''") + "'"
}

// Passages reads chunks of the workspace with what a citation shows. Ids that are not there, or are
// another's, are left out.
func (s *Store) Passages(ctx context.Context, workspace uuid.UUID, chunks []uuid.UUID) ([]knowledge.Passage, error) {
	var passages []knowledge.Passage
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.id, c.document_id, c.idx, c.position, c.text, c.tokens, d.source_type, d.title, d.canonical_url
			  from chunks c join documents d on d.id = c.document_id
			 where c.workspace_id = $1 and c.id = any ($2)`, workspace, chunks)
		if err != nil {
			return fmt.Errorf("read passages: %w", err)
		}
		passages, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (knowledge.Passage, error) {
			var p knowledge.Passage
			err := row.Scan(&p.ID, &p.DocumentID, &p.Index, &p.Position, &p.Text, &p.Tokens, &p.SourceType, &p.Title, &p.URL)
			return p, err
		})
		if err != nil {
			return fmt.Errorf("read passages: %w", err)
		}
		return nil
	})
	return passages, err
}
