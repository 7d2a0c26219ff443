package knowledge

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func numbered(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = "w" + strings.Repeat("x", i%7)
	}
	return strings.Join(words, " ")
}

func TestPartsOverlapAndCoverTheWholeText(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 47, 48, 49, 84, 85, 120, 400} {
		text := numbered(n)
		cut := parts(text)
		require.True(t, strings.HasPrefix(text, cut[0]))
		require.True(t, strings.HasSuffix(text, cut[len(cut)-1]), "%d words", n)
		for i, p := range cut {
			require.LessOrEqual(t, len(strings.Fields(p)), partWords)
			if i > 0 {
				require.GreaterOrEqual(t, len(strings.Fields(p)), partWords-partStride, "a part shares words with the one before")
			}
		}
		require.Len(t, cut, 1+max(0, (n-partWords+partStride-1)/partStride), "%d words", n)
	}
	require.Equal(t, []string{""}, parts(""))
	require.Equal(t, []string{"one\ntwo\n"}, parts("one\ntwo\n"))
}

func TestPartsOfTextWithoutSpacesAreCutByCharacters(t *testing.T) {
	t.Parallel()
	cut := parts(strings.Repeat("移動平均線", 100))
	require.Len(t, cut, 4, "500 characters count as 125 words")
	for _, p := range cut {
		require.True(t, utf8.ValidString(p))
		require.LessOrEqual(t, utf8.RuneCountInString(p), partWords*unspacedWord)
	}
	for _, p := range parts(strings.Repeat("a", 5000)) {
		require.LessOrEqual(t, len(p), partWords*longWord)
	}
}

func TestPartsAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	text := numbered(100_000)
	cut := parts(text)
	require.Len(t, cut, mostParts)
	require.True(t, strings.HasSuffix(text, cut[mostParts-1]), "the last part has the rest")
}

func direction(r *rand.Rand, n int) []float32 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return Normalized(v)
}

func TestSimilarityIsThatOfTheBestPartAndOfTheMean(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		question := direction(r, 384)
		var vectors [][]float32
		best := -1.0
		for range 1 + r.IntN(10) {
			v := direction(r, 384)
			var cosine float64
			for d := range v {
				cosine += float64(v[d]) * float64(question[d])
			}
			vectors, best = append(vectors, v), max(best, cosine)
		}
		var mean float64
		for d, x := range meanOf(vectors) {
			mean += float64(x) * float64(question[d])
		}
		found, _, err := newAsked(question).similarity(packParts(vectors))
		require.NoError(t, err)
		require.InDelta(t, meanShare*mean+(1-meanShare)*best, found, 0.003)
	}
	same := direction(r, 384)
	found, _, err := newAsked(same).similarity(packParts([][]float32{same}))
	require.NoError(t, err)
	require.InDelta(t, 1, found, 0.001)
}

// The same on every machine: the bytes that are stored, and what is computed of them.
func TestPackedPartsAndSimilaritiesAreTheSameBits(t *testing.T) {
	t.Parallel()
	packed := packParts([][]float32{{0.6, -0.8, 0, 0.003}, {1, 0, 0, 0}})
	require.Equal(t, PartVectors{1, 0x44, 0xf9, 0x64, 0x3f, 0xa0, 0x69, 0xce, 0x3b, 95, 0x81, 0, 0, 0x04, 0x02, 0x01, 0x3c, 127, 0, 0, 0}, packed)
	found, _, err := newAsked([]float32{0.5, -0.5, 0.5, 0.5}).similarity(packed)
	require.NoError(t, err)
	require.Equal(t, 0.6819125853809536, found)
}

func TestPartsInNoKnownFormAreRefused(t *testing.T) {
	t.Parallel()
	question := newAsked([]float32{1, 0})
	whole := packParts([][]float32{{1, 0}, {0, 1}})
	for _, p := range []PartVectors{nil, {}, {1}, {2, 0, 0, 0, 0, 1, 1}, whole[:len(whole)-1], append(PartVectors{9}, whole[1:]...), {1, 0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f, 1, 1}, {1, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x7f, 1, 0}, {1, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 1, 0}} {
		_, _, err := question.similarity(p)
		require.ErrorIs(t, err, errParts, "%v", p)
	}
	found, _, err := newAsked([]float32{0, 0}).similarity(whole)
	require.NoError(t, err)
	require.Zero(t, found)
}

// counting embeds a text as its number of words, beside one.
type counting struct {
	provider string
	texts    []string
	short    bool
}

func (c *counting) Model() Model { return Model{Provider: c.provider, Name: "counting", Dimensions: 2} }

func (c *counting) Embed(_ context.Context, _ Use, texts []string) ([][]float32, error) {
	c.texts = append(c.texts, texts...)
	var vectors [][]float32
	for _, text := range texts {
		vectors = append(vectors, Normalized([]float64{float64(len(strings.Fields(text))), 1}))
	}
	if c.short {
		vectors = vectors[1:]
	}
	return vectors, nil
}

func TestChunksAreEmbeddedPartByPart(t *testing.T) {
	t.Parallel()
	chunks := []Chunk{{Text: "a few words"}, {Text: numbered(99), Position: Position{Heading: "Heading"}}}
	e := &counting{provider: "local"}
	made, err := EmbedChunks(t.Context(), e, []string{"Title", "Title"}, chunks)
	require.NoError(t, err)
	require.Len(t, e.texts, 1+3)
	require.True(t, strings.HasPrefix(e.texts[1], "w "), "title and heading are left to the words")
	require.Len(t, made[0].Parts, partsHead+1*(4+2))
	require.Len(t, made[1].Parts, partsHead+3*(4+2))
	require.Equal(t, Normalized([]float64{3, 1}), made[0].Vector)
	one, two := Normalized([]float64{48, 1}), Normalized([]float64{27, 1})
	require.InDelta(t, (2*one[1]+two[1])/3, made[1].Vector[1], 1e-4, "the mean of the parts")

	lexical := &counting{provider: "hash"}
	made, err = EmbedChunks(t.Context(), lexical, []string{"Title", "Title"}, chunks)
	require.NoError(t, err)
	require.Len(t, lexical.texts, 2)
	require.Nil(t, made[0].Parts)
	require.Equal(t, Normalized([]float64{101, 1}), made[1].Vector)

	_, err = EmbedChunks(t.Context(), &counting{provider: "local", short: true}, []string{"", ""}, chunks)
	require.Equal(t, FaultProvider, AsFault("", err).Kind)
	made, err = EmbedChunks(t.Context(), e, nil, nil)
	require.NoError(t, err)
	require.Empty(t, made)
}

// BenchmarkParts is the comparison of a question with the parts of the hundred best chunks.
func BenchmarkParts(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	question := newAsked(direction(r, 384))
	vectors := make([][]float32, 10)
	for i := range vectors {
		vectors[i] = direction(r, 384)
	}
	packed := packParts(vectors)
	for b.Loop() {
		for range refineLimit {
			if _, _, err := question.similarity(packed); err != nil {
				b.Fatal(err)
			}
		}
	}
}
