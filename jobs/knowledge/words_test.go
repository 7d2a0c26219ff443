package knowledge

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// counted is what count finds, by stemming every word.
func (s wordSet) counted(text string) int {
	n := 0
	for word := range newWordSet(text) {
		if s[word] {
			n++
		}
	}
	return n
}

// Words are counted as if each were stemmed.
func TestWordsAreCountedAsIfEachWereStemmed(t *testing.T) {
	t.Parallel()
	for asked, text := range map[string]string{
		"die lie tie": "Dying, LYING and tying", "a o": "aing oed", "skis news": "ski; News", "stop-loss ratio": "(Stop)Losses’ RATIOS",
		"移動平均 sma20": "sma20 は移動平均", "Straße café": "STRASSE straße CAFÉ", "x": "", "": "x", "İstanbul ıs": "istanbul İSTANBUL", "\u212a": "k K", "k": "\u212a",
	} {
		set := newWordSet(asked)
		require.Equal(t, set.counted(text), set.count(text), "%q in %q", asked, text)
	}
	require.Equal(t, 3, newWordSet("die lie tie").count("Dying, LYING and tying"))
	piece := rapid.OneOf(rapid.StringMatching(`[a-zA-Z]{1,4}(s|ing|ed|ies|ly|ying|ation|e)?`), rapid.StringMatching(`[0-9.,%' -]{1,3}`), rapid.String(),
		rapid.SampledFrom([]string{"dying", "die", "only", "eggs", "added", "é", "的"}))
	rapid.Check(t, func(rt *rapid.T) {
		asked, text := rapid.SliceOfN(piece, 0, 8).Draw(rt, "asked"), rapid.SliceOfN(piece, 0, 30).Draw(rt, "text")
		set := newWordSet(strings.Join(append(asked, text[:len(text)/3]...), " "))
		joined := strings.Join(text, rapid.SampledFrom([]string{" ", "-", "", "\n"}).Draw(rt, "between"))
		if a, b := set.counted(joined), set.count(joined); a != b {
			rt.Fatalf("%d, not %d", b, a)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	text := strings.Repeat("A crossover is whipsawed in ranges, e.g. in summer; costs of 3.5 % a year matter to whipsawed traders. ", 20)
	set := newWordSet("Why does a moving average crossover lose money in sideways markets?")
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			set.counted(text)
		}
	})
	b.Run("begin alike", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set.count(text)
		}
	})
}
