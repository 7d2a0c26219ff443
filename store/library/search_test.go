package library_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/pgtest"
	"millrace/store/storetest"
)

func match(d *storetest.Fixture, question string, filter knowledge.Filter) []knowledge.Hit {
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

	hits := match(d, "market whipsaws", knowledge.Filter{})
	require.Len(t, hits, 3)
	require.Equal(t, other, hits[0].Document, "a word in the title counts more")
	require.Equal(t, chunks[1], hits[1].Chunk, "both words, one of them rare")
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

// The search runs where row-level security does not hold, so its own condition has to.
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

// Words that are everywhere do not make a search rank everything.
func TestFrequentWordsDoNotDrive(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	texts := make([]string, 12_000)
	for i := range texts {
		texts[i] = "The strategy of the market."
	}
	texts[7000] = "The strategy of the whipsaw."
	_, chunks := pgtest.Document{Texts: texts}.Insert(t, d.Owner, d.Space.ID)
	hits := match(d, "strategy whipsaw", knowledge.Filter{})
	require.Equal(t, chunks[7000], hits[0].Chunk)
	require.Len(t, hits, 1, "the rare word alone decides what is ranked")
	require.Len(t, match(d, "strategy market", knowledge.Filter{}), 10, "when all are frequent, the best of a part")
}
