package knowledge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/knowledge"
)

func newChunker(t testing.TB) *knowledge.Chunker {
	t.Helper()
	chunker, err := knowledge.NewChunker()
	require.NoError(t, err)
	return chunker
}

func chunk(t testing.TB, blocks ...knowledge.Block) []knowledge.Chunk {
	t.Helper()
	e := knowledge.Extracted{Blocks: blocks}
	e.Tidy()
	chunks, err := newChunker(t).Chunks(t.Context(), uuid.New(), &e)
	require.NoError(t, err)
	return chunks
}

// prose is n sentences, each with a number of its own.
func prose(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Sentence %d says that momentum and mean reversion are two sides of one market. ", from+i)
	}
	return strings.TrimSpace(b.String())
}

func TestTokensAreThoseOfCL100K(t *testing.T) {
	t.Parallel()
	tokens, err := knowledge.NewTokenizer()
	require.NoError(t, err)
	// Counted with js-tiktoken 1.0.21, encoding cl100k_base.
	for text, want := range map[string]int{
		"": 0, "hello world": 2, "The golden cross is a bullish signal.": 8,
		"rsi = ta.rsi(close, 14)\n": 11, "日本語": 4, "  indented": 3,
		"Naïve café—“quotes” €5 🙂🙂": 13, "a\n\n\n  b\t\tc   d": 8, "1234567890 3.14159": 9, "don't WE'LL they'Ve": 8,
	} {
		require.Equal(t, want, tokens.Count(text), "%q", text)
	}
}

func TestShortTextIsOneChunk(t *testing.T) {
	t.Parallel()
	require.Empty(t, chunk(t))
	require.Empty(t, chunk(t, knowledge.Block{Text: " \n "}))
	chunks := chunk(t, knowledge.Block{Text: "First."}, knowledge.Block{Text: "Second.", Break: knowledge.BreakParagraph})
	require.Len(t, chunks, 1)
	require.Equal(t, "First.\n\nSecond.", chunks[0].Text)
}

func TestChunksKeepTheirSizeAndOverlap(t *testing.T) {
	t.Parallel()
	chunks := chunk(t, knowledge.Block{Text: prose(0, 400)})
	require.Greater(t, len(chunks), 5)
	tokens, err := knowledge.NewTokenizer()
	require.NoError(t, err)
	for i, c := range chunks {
		require.LessOrEqual(t, c.Tokens, knowledge.ChunkTokens)
		require.Equal(t, tokens.Count(c.Text), c.Tokens)
		require.Equal(t, i, c.Index)
		require.True(t, strings.HasPrefix(c.Text, "Sentence "), c.Text[:40])
		require.True(t, strings.HasSuffix(c.Text, "."), "a chunk ends with a sentence")
		if i == 0 {
			continue
		}
		require.Greater(t, c.Tokens, knowledge.ChunkTokens/4)
		shared := c.Text[:sharedWith(chunks[i-1].Text, c.Text)]
		require.InDelta(t, 48, tokens.Count(shared), 17, "the overlap is up to 64 tokens of whole sentences")
	}
}

// sharedWith is how many bytes of b's beginning are a's end.
func sharedWith(a, b string) int {
	for n := min(len(a), len(b)); n > 0; n-- {
		if strings.HasSuffix(a, b[:n]) {
			return n
		}
	}
	return 0
}

func TestChunkPrefersToEndAtAPage(t *testing.T) {
	t.Parallel()
	chunks := chunk(t,
		knowledge.Block{Text: prose(0, 20), Position: knowledge.Position{Page: 1}},
		knowledge.Block{Text: prose(100, 20), Position: knowledge.Position{Page: 2}, Break: knowledge.BreakSection},
		knowledge.Block{Text: prose(200, 60), Position: knowledge.Position{Page: 3}, Break: knowledge.BreakSection},
	)
	require.Equal(t, "p. 1", chunks[0].Position.String())
	require.True(t, strings.HasSuffix(chunks[0].Text, "market."))
	require.Contains(t, chunks[0].Text, "Sentence 19 ")
	require.NotContains(t, chunks[0].Text, "Sentence 100 ")
	require.Contains(t, chunks[1].Text, "Sentence 19 ", "the overlap crosses the page")
	require.Equal(t, "p. 1–2", chunks[1].Position.String())
	require.Contains(t, chunks[1].Text, "Sentence 119 ")
	require.Equal(t, "p. 3", chunks[len(chunks)-1].Position.String())
}

func TestChunkPrefersToEndAtAParagraph(t *testing.T) {
	t.Parallel()
	chunks := chunk(t,
		knowledge.Block{Text: prose(0, 25)},
		knowledge.Block{Text: prose(100, 40), Break: knowledge.BreakParagraph},
	)
	require.True(t, strings.Contains(chunks[0].Text, "Sentence 24 ") && !strings.Contains(chunks[0].Text, "Sentence 100 "))
}

func TestPositionsFollowTheText(t *testing.T) {
	t.Parallel()
	at := func(s float64) *float64 { return &s }
	var cues []knowledge.Block
	for i := range 200 {
		cues = append(cues, knowledge.Block{
			Text:     fmt.Sprintf("and then at step %d we look at the moving average", i),
			Position: knowledge.Position{StartSeconds: at(float64(i) * 3), EndSeconds: at(float64(i)*3 + 3)},
		})
	}
	chunks := chunk(t, cues...)
	require.Greater(t, len(chunks), 3)
	for i, c := range chunks {
		require.Contains(t, c.Text, fmt.Sprintf("step %d ", int(*c.Position.StartSeconds)/3))
		require.Contains(t, c.Text, fmt.Sprintf("step %d ", int(*c.Position.EndSeconds)/3-1))
		if i > 0 {
			require.Less(t, *c.Position.StartSeconds, *chunks[i-1].Position.EndSeconds)
		}
	}

	var code strings.Builder
	for i := 1; i <= 300; i++ {
		fmt.Fprintf(&code, "    value%d = ta.sma(close, %d)\n", i, i)
	}
	lines := chunk(t, knowledge.Block{Text: code.String(), Position: knowledge.Position{Line: 1}})
	require.Equal(t, 1, lines[0].Position.Line)
	require.Equal(t, 300, lines[len(lines)-1].Position.LineEnd)
	for _, c := range lines {
		require.True(t, strings.HasPrefix(c.Text, fmt.Sprintf("    value%d = ", c.Position.Line)), "%s\n%s", c.Position, c.Text[:40])
		require.True(t, strings.HasSuffix(c.Text, fmt.Sprintf("ta.sma(close, %d)", c.Position.LineEnd)))
	}
}

func TestHeadingBelongsToTheNewPartOfAChunk(t *testing.T) {
	t.Parallel()
	chunks := chunk(t,
		knowledge.Block{Text: prose(0, 25), Position: knowledge.Position{Heading: "Entries"}},
		knowledge.Block{Text: prose(100, 10), Position: knowledge.Position{Heading: "Exits"}, Break: knowledge.BreakSection},
	)
	require.Equal(t, []string{"Entries", "Exits"}, []string{chunks[0].Position.Heading, chunks[1].Position.Heading})
}

// Whatever comes in, every word of it is in a chunk, in order, and no chunk is far over its size.
func TestChunksKeepTheWholeText(t *testing.T) {
	t.Parallel()
	chunker := newChunker(t)
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.SampledFrom([]string{"a", "Be", "12", ". ", "! ", "\n", "\n\n", " ", "é", "日本。", "\t", "\x00", "\xff", "🙂", "word ", strings.Repeat("x", 300)})
		e := knowledge.Extracted{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 400), 1, 6).Draw(t, "blocks") {
			text := strings.Join(rapid.SliceOfN(alphabet, n, n).Draw(t, "text"), "")
			e.Blocks = append(e.Blocks, knowledge.Block{
				Text: text, Position: knowledge.Position{Line: 1}, Break: knowledge.Break(rapid.IntRange(0, 3).Draw(t, "break")),
			})
		}
		e.Tidy()
		var whole strings.Builder
		for _, block := range e.Blocks {
			whole.WriteString(block.Text)
		}
		chunks, err := chunker.Chunks(context.Background(), uuid.New(), &e)
		require.NoError(t, err)
		want, rest := bare(whole.String()), ""
		for i, c := range chunks {
			require.True(t, utf8.ValidString(c.Text))
			require.NotContains(t, c.Text, "\x00")
			require.LessOrEqual(t, c.Tokens, knowledge.ChunkTokens+8)
			text := bare(c.Text)
			if i == 0 {
				rest = want
			}
			// What is carried over stands at the end of the chunk before; skip it.
			if i > 0 {
				text = text[carried(bare(chunks[i-1].Text), text, rest):]
			}
			require.True(t, strings.HasPrefix(rest, text), "chunk %d follows the one before", i)
			rest = rest[len(text):]
		}
		require.Empty(t, rest)
	})
}

// carried is a length by which text begins with the end of before and continues with rest.
func carried(before, text, rest string) int {
	for n := min(len(before), len(text)); n > 0; n-- {
		if strings.HasSuffix(before, text[:n]) && strings.HasPrefix(rest, text[n:]) {
			return n
		}
	}
	return 0
}

// bare is text without white space.
func bare(text string) string { return strings.Join(strings.Fields(text), "") }

func BenchmarkChunks(b *testing.B) {
	chunker := newChunker(b)
	e := &knowledge.Extracted{}
	for i := range 200 {
		e.Blocks = append(e.Blocks, knowledge.Block{Text: prose(100*i, 10), Break: knowledge.BreakParagraph})
	}
	b.SetBytes(int64(e.Size()))
	b.ReportAllocs()
	chunks := 0
	for b.Loop() {
		made, err := chunker.Chunks(b.Context(), uuid.UUID{}, e)
		require.NoError(b, err)
		chunks += len(made)
	}
	b.ReportMetric(float64(chunks)/b.Elapsed().Seconds(), "chunks/s")
}
