package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/pgtest"
)

func (d *fixture) match(question string, filter knowledge.Filter) []knowledge.Hit {
	d.t.Helper()
	hits, err := d.store.Library.MatchText(d.t.Context(), d.space.ID, question, filter, 10)
	require.NoError(d.t, err)
	return hits
}

func TestFullTextRanksByRareWords(t *testing.T) {
	d := newFixture(t)
	document, chunks := pgtest.Document{Title: "Notes", Texts: []string{
		"The market rose and the market fell.", "A market without trend whipsaws the crossover.", "The crossover of averages.",
	}}.Insert(t, d.owner, d.space.ID)
	other, _ := pgtest.Document{SourceType: "pdf", Title: "Whipsaws", Texts: []string{"Losses in ranges."}}.Insert(t, d.owner, d.space.ID)

	hits := d.match("market whipsaws", knowledge.Filter{})
	require.Len(t, hits, 3)
	require.Equal(t, other, hits[0].Document, "a word in the title counts more")
	require.Equal(t, chunks[1], hits[1].Chunk, "both words, one of them rare")
	require.Equal(t, chunks[0], hits[2].Chunk)
	for _, h := range hits {
		require.True(t, h.Score > 0 && h.Score <= 1, "%v", h.Score)
	}
	require.Equal(t, chunks[2], d.match("averaging", knowledge.Filter{})[0].Chunk, "inflections are one word")
	require.Len(t, d.match("market whipsaws", knowledge.Filter{SourceTypes: []knowledge.SourceType{"pdf"}}), 1)
	require.Len(t, d.match("market whipsaws", knowledge.Filter{Documents: []uuid.UUID{document}}), 2)
	require.Empty(t, d.match("market", knowledge.Filter{Documents: []uuid.UUID{document}, SourceTypes: []knowledge.SourceType{"pdf"}}))
	require.Empty(t, d.match("the of and", knowledge.Filter{}))
	require.Empty(t, d.match("xylophone", knowledge.Filter{}))
}

// A question is data: nothing in it is an operator, and none of it is an error.
func TestNoQuestionIsAQuery(t *testing.T) {
	d := newFixture(t)
	pgtest.Document{Texts: []string{"It's a back\\slash & a market | trend."}}.Insert(t, d.owner, d.space.ID)
	for _, question := range []string{
		"market & !trend", "market'); drop table chunks; --", `back\slash`, `\`, "'", "it's", "a:* | b", "<-> ( ) ! &", "workspace:" + d.space.ID.String(),
		strings.Repeat("word ", 400), "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ❤ 動能", fmt.Sprintf("%c%c", 0x202e, 0xfeff),
	} {
		d.match(question, knowledge.Filter{})
	}
	require.Len(t, d.match("market & !trend", knowledge.Filter{}), 1)
	require.Len(t, d.match(`'market`, knowledge.Filter{}), 1)
}

// The search runs where row-level security does not hold, so its own condition has to.
func TestFullTextFindsOnesOwnOnly(t *testing.T) {
	d := newFixture(t)
	other, err := d.store.Tenants.CreateWorkspace(t.Context(), "other", 1)
	require.NoError(t, err)
	theirs, foreign := pgtest.Document{Texts: []string{"The secret whipsaw."}}.Insert(t, d.owner, other.ID)
	_, mine := pgtest.Document{Texts: []string{"My whipsaw."}}.Insert(t, d.owner, d.space.ID)
	hits := d.match("secret whipsaw", knowledge.Filter{})
	require.Len(t, hits, 1)
	require.Equal(t, mine[0], hits[0].Chunk)
	require.Empty(t, d.match("secret whipsaw workspace "+other.ID.String(), knowledge.Filter{Documents: []uuid.UUID{theirs}}))
	passages, err := d.store.Library.Passages(t.Context(), d.space.ID, append(foreign, mine...))
	require.NoError(t, err)
	require.Len(t, passages, 1)
	require.Equal(t, "My whipsaw.", passages[0].Text)
}

// Words that are everywhere do not make a search rank everything.
func TestFrequentWordsDoNotDrive(t *testing.T) {
	d := newFixture(t)
	texts := make([]string, 12_000)
	for i := range texts {
		texts[i] = "The strategy of the market."
	}
	texts[7000] = "The strategy of the whipsaw."
	_, chunks := pgtest.Document{Texts: texts}.Insert(t, d.owner, d.space.ID)
	hits := d.match("strategy whipsaw", knowledge.Filter{})
	require.Equal(t, chunks[7000], hits[0].Chunk)
	require.Len(t, hits, 1, "the rare word alone decides what is ranked")
	require.Len(t, d.match("strategy market", knowledge.Filter{}), 10, "when all are frequent, the best of a part")
}

func TestLLMCallsAreCountedByTheMinute(t *testing.T) {
	d := newFixture(t)
	for range 3 {
		require.NoError(t, d.store.Recommend.RecordLLMCall(t.Context(), "openai", "m", ""))
	}
	require.NoError(t, d.store.Recommend.RecordLLMCall(t.Context(), "openai", "m", knowledge.ReasonTimeout))
	_, err := d.owner.Exec(t.Context(), `
		insert into llm_minutes (minute, provider, model, reason_code, calls, last_at)
		values (now() - interval '8 days', 'old', 'm', '', 1, now()), (now() - interval '2 hours', 'openai', 'm', '', 10, now())`)
	require.NoError(t, err)
	require.NoError(t, d.store.Recommend.RecordLLMCall(t.Context(), "none", "none", knowledge.ReasonUnconfigured)) // a new row clears old ones
	calls, err := d.store.Recommend.LLMCalls(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	found := map[string]int{}
	for _, c := range calls {
		found[c.Provider+" "+string(c.Reason)] += c.Calls
	}
	require.Equal(t, map[string]int{"openai ": 3, "openai llm_timeout": 1, "none llm_unconfigured": 1}, found)
	all, err := d.store.Recommend.LLMCalls(t.Context(), time.Now().Add(-30*24*time.Hour))
	require.NoError(t, err)
	for _, c := range all {
		require.NotEqual(t, "old", c.Provider)
	}
}
