package library_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/ops/routine"
	"millrace/store/pgtest"
	"millrace/store/storetest"
)

func match(d *storetest.Fixture, question string, filter knowledge.Filter) []knowledge.WordHit {
	d.T.Helper()
	hits, err := d.Store.Library.MatchText(d.T.Context(), d.Space.ID, question, filter, 10)
	require.NoError(d.T, err)
	return hits
}

func TestFullTextRanksByRareWords(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	document, chunks := pgtest.Document{Title: "Notes", Texts: []string{
		"The market rose and the market fell.", "A market without trend whipsaws the crossover.", "The crossover of averages.",
	}}.Insert(t, d.Owner, d.Space.ID)
	other, _ := pgtest.Document{SourceType: "pdf", Title: "Whipsaws", Texts: []string{"Losses in ranges."}}.Insert(t, d.Owner, d.Space.ID)

	require.Equal(t, other, match(d, "whipsaws", knowledge.Filter{})[0].Document, "a word in the title counts more")
	hits := match(d, "market whipsaws", knowledge.Filter{})
	require.Len(t, hits, 3)
	require.Equal(t, chunks[1], hits[0].Chunk, "both words")
	require.Equal(t, other, hits[1].Document, "the rare one, in the title")
	require.Equal(t, chunks[0], hits[2].Chunk)
	for _, h := range hits {
		require.True(t, h.Score > 0 && h.Score <= 1, "%v", h.Score)
	}
	require.Equal(t, chunks[2], match(d, "averaging", knowledge.Filter{})[0].Chunk, "inflections are one word")
	require.Len(t, match(d, "market whipsaws", knowledge.Filter{SourceTypes: []knowledge.SourceType{"pdf"}}), 1)
	require.Len(t, match(d, "market whipsaws", knowledge.Filter{Documents: []uuid.UUID{document}}), 2)
	require.Empty(t, match(d, "market", knowledge.Filter{Documents: []uuid.UUID{document}, SourceTypes: []knowledge.SourceType{"pdf"}}))
	require.Empty(t, match(d, "the of and", knowledge.Filter{}))
	require.Empty(t, match(d, "xylophone", knowledge.Filter{}))
}

// A question is data: nothing in it is an operator, and none of it is an error.
func TestNoQuestionIsAQuery(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	pgtest.Document{Texts: []string{"It's a back\\slash & a market | trend."}}.Insert(t, d.Owner, d.Space.ID)
	for _, question := range []string{
		"market & !trend", "market'); drop table chunks; --", `back\slash`, `\`, "'", "it's", "a:* | b", "<-> ( ) ! &", "workspace:" + d.Space.ID.String(),
		strings.Repeat("word ", 400), "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ❤ 動能", fmt.Sprintf("%c%c", 0x202e, 0xfeff),
	} {
		match(d, question, knowledge.Filter{})
	}
	require.Len(t, match(d, "market & !trend", knowledge.Filter{}), 1)
	require.Len(t, match(d, `'market`, knowledge.Filter{}), 1)
}

// The copy that is searched is of one workspace's words, read under row-level security.
func TestFullTextFindsOnesOwnOnly(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	other, err := d.Store.Tenants.CreateWorkspace(t.Context(), "other", 1)
	require.NoError(t, err)
	theirs, foreign := pgtest.Document{Texts: []string{"The secret whipsaw."}}.Insert(t, d.Owner, other.ID)
	_, mine := pgtest.Document{Texts: []string{"My whipsaw."}}.Insert(t, d.Owner, d.Space.ID)
	hits := match(d, "secret whipsaw", knowledge.Filter{})
	require.Len(t, hits, 1)
	require.Equal(t, mine[0], hits[0].Chunk)
	require.Empty(t, match(d, "secret whipsaw workspace "+other.ID.String(), knowledge.Filter{Documents: []uuid.UUID{theirs}}))
	passages, err := d.Store.Library.Passages(t.Context(), d.Space.ID, append(foreign, mine...))
	require.NoError(t, err)
	require.Len(t, passages, 1)
	require.Equal(t, "My whipsaw.", passages[0].Text)
}

// What frequent words find is exact: the best of all, not of a part.
func TestFrequentWordsRankEveryChunk(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	texts := make([]string, 12_000)
	for i := range texts {
		texts[i] = "The strategy of the market."
	}
	texts[7000] = "The strategy of the whipsaw."
	texts[11_999] = "The market: strategy of a market."
	_, chunks := pgtest.Document{Texts: texts}.Insert(t, d.Owner, d.Space.ID)
	hits := match(d, "strategy whipsaw", knowledge.Filter{})
	require.Equal(t, chunks[7000], hits[0].Chunk)
	require.Len(t, hits, 10, "a chunk with the frequent word alone is found too")
	require.InDelta(t, 1, hits[0].Covered, 1e-6)
	require.Less(t, hits[1].Covered, 0.2, "the rare word is most of the question")
	require.Equal(t, chunks[11_999], match(d, "strategy market", knowledge.Filter{})[0].Chunk)
}

// A search sees what was committed before it began, and nothing that is gone.
func TestSearchFollowsDocumentsThatComeChangeAndGo(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	pgtest.Document{Texts: []string{"The market rose."}}.Insert(t, d.Owner, d.Space.ID)
	require.Len(t, match(d, "market", knowledge.Filter{}), 1)
	document, chunks := pgtest.Document{Texts: []string{"A market without trend.", "A whipsaw."}}.Insert(t, d.Owner, d.Space.ID)
	require.Len(t, match(d, "market", knowledge.Filter{}), 2)

	d.Exec(`with changed as (update documents set revision = 2, chunks = 1 where id = $1),
	             gone as (delete from chunks where id = $2)
	        update chunks set revision = 2, text = 'A gap.', search = to_tsvector('english', 'A gap.') where id = $3`, document, chunks[0], chunks[1])
	require.Len(t, match(d, "market", knowledge.Filter{}), 1)
	require.Empty(t, match(d, "whipsaw", knowledge.Filter{}))
	require.Equal(t, chunks[1], match(d, "gap", knowledge.Filter{})[0].Chunk)

	require.NoError(t, d.Store.Library.DeleteDocument(t.Context(), d.Space.ID, document))
	require.Empty(t, match(d, "gap", knowledge.Filter{}))
	require.Len(t, match(d, "market", knowledge.Filter{}), 1)
}

// A copy over the bound makes room for others and is read again when it is needed.
func TestWorkspacesOverTheBoundAreReadAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Store.Library.KeepWords(1)
	other, err := d.Store.Tenants.CreateWorkspace(t.Context(), "other", 1)
	require.NoError(t, err)
	for _, space := range []uuid.UUID{d.Space.ID, other.ID} {
		pgtest.Document{Texts: []string{"A whipsaw."}}.Insert(t, d.Owner, space)
	}
	for range 3 {
		for _, space := range []uuid.UUID{d.Space.ID, other.ID} {
			hits, err := d.Store.Library.MatchText(t.Context(), space, "whipsaw", knowledge.Filter{}, 10)
			require.NoError(t, err)
			require.Len(t, hits, 1)
		}
	}
}

// Searches beside ingestions find a document whole or not at all.
func TestSearchesBesideChangesSeeWholeDocuments(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	document, _ := pgtest.Document{Texts: []string{"whipsaw one", "whipsaw two", "whipsaw three"}}.Insert(t, d.Owner, d.Space.ID)
	var changes routine.Group
	changes.Run(func() error {
		for n := range 30 {
			tx, err := d.Owner.Begin(t.Context())
			if err != nil {
				return err
			}
			for _, sql := range []string{
				fmt.Sprintf("update documents set revision = %d where id = '%s'", n+2, document),
				fmt.Sprintf("update chunks set id = gen_random_uuid(), revision = %d where document_id = '%s'", n+2, document),
			} {
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					return err
				}
			}
			if err := tx.Commit(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	for range 60 {
		require.Len(t, match(d, "whipsaw", knowledge.Filter{}), 3)
	}
	require.NoError(t, changes.Wait())
	require.Len(t, match(d, "whipsaw", knowledge.Filter{}), 3)
}
