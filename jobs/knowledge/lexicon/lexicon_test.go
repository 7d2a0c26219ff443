package lexicon

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func alike(a, b []int32) float64 {
	var both, one, other float64
	for i, x := range a {
		both, one, other = both+float64(x)*float64(b[i]), one+float64(x)*float64(x), other+float64(b[i])*float64(b[i])
	}
	return both / math.Sqrt(one*other)
}

func TestWordsThatMeanTheLikeAreNear(t *testing.T) {
	t.Parallel()
	l, err := Open()
	require.NoError(t, err)
	var known knowledge.Lexicon = l
	for _, pair := range [][2]string{{"buy", "purchase"}, {"loss", "losing"}, {"limit", "limits"}, {"price", "cost"}} {
		require.Greater(t, alike(known.Meaning(pair[0]), known.Meaning(pair[1])), 0.5, "%v", pair)
	}
	for _, pair := range [][2]string{{"tree", "price"}, {"buy", "weather"}, {"loss", "green"}} {
		require.Less(t, alike(known.Meaning(pair[0]), known.Meaning(pair[1])), 0.3, "%v", pair)
	}
	length := func(word string) float64 { return size(known.Meaning(word)) }
	require.Greater(t, length("commission"), 2*length("the"), "a rare word says more")
	require.Equal(t, known.Meaning("drawdown"), known.Meaning("drawdown"))
}

func size(v []int32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func TestAWordIsTheSumOfItsLongestPieces(t *testing.T) {
	t.Parallel()
	l, err := read("4 2\nstop\nst\n##op\n##s\n" + "\x01\x02" + "\x05\x05" + "\x07\x07" + "\xff\x10")
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2}, l.Meaning("stop"))
	require.Equal(t, []int32{0, 18}, l.Meaning("stops"))
	require.Equal(t, []int32{5, 5}, l.Meaning("st"))
	for _, word := range []string{"", "op", "stopx", "停", strings.Repeat("st", 60)} {
		require.Nil(t, l.Meaning(word), word)
	}
}

func TestADamagedTableIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "x", "1 2", "1 2\na\n\x01", "2 1\na\n\x01\x02", "2 1\na\na\n\x01\x02", "-1 2\na\n", "1 2\na\n\x01\x02\x03", "9999999999 2\n"} {
		_, err := read(raw)
		require.ErrorIs(t, err, errTable, "%q", raw)
	}
}

func BenchmarkMeaning(b *testing.B) {
	l, err := Open()
	require.NoError(b, err)
	for b.Loop() {
		l.Meaning("drawdown")
	}
}
